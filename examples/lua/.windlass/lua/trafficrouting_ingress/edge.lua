-- An Ingress class of one's own: what the annotations of the canary Ingress say. `obj.annotations` are those of the Ingress.
local annotations = obj.annotations
local prefix = "edge.example.com/canary"

annotations[prefix] = "true"
if obj.weight ~= "-1" then
    annotations[prefix .. "-weight"] = obj.weight
end
for _, match in ipairs(obj.matches or {}) do
    for _, header in ipairs(match.headers or {}) do
        annotations[prefix .. "-header-" .. string.lower(header.name)] = header.value
    end
end
return annotations
