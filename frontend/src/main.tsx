import { mount } from "./app";
import { HttpBackend } from "./backend";
import "./style.css";

mount(document.getElementById("zatlas")!, new HttpBackend("", new URLSearchParams(location.search).get("token") ?? ""));
