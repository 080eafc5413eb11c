-- Skipper's RouteGroup: a backend for the canary Service, which gets its share of every route, or routes of its own for
-- requests that match. `obj.data` is the object as it was written; every step starts from it.
local spec = obj.data.spec

local function quoted(text)
    return string.format("%q", text)
end

-- A pattern that fits a text and nothing else.
local function exactly(text)
    return "^" .. string.gsub(text, "[%^%$%.%[%]%(%)%*%+%?%|%{%}\\]", "\\%0") .. "$"
end

-- The backend of the stable Service, and a second one like it for the canary Service.
local stable
for _, backend in ipairs(spec.backends or {}) do
    if backend.type == "service" and backend.serviceName == obj.stableService then
        stable = backend
    end
end
if not stable then
    error("no backend of spec.backends is Service " .. obj.stableService)
end
local canary = {}
for key, value in pairs(stable) do
    canary[key] = value
end
canary.name = stable.name .. "-canary"
canary.serviceName = obj.canaryService
table.insert(spec.backends, canary)

local function is_stable(references)
    return #references == 1 and references[1].backendName == stable.name
end

local function share(references)
    if not is_stable(references or {}) then
        return references
    end
    return {
        { backendName = stable.name, weight = obj.stableWeight },
        { backendName = canary.name, weight = obj.canaryWeight },
    }
end

if obj.canaryWeight ~= -1 then
    spec.defaultBackends = share(spec.defaultBackends)
    for _, route in ipairs(spec.routes or {}) do
        route.backends = share(route.backends)
    end
end

local function predicates_of(match)
    local found = {}
    for _, header in ipairs(match.headers or {}) do
        if header.type == "RegularExpression" then
            table.insert(found, "HeaderRegexp(" .. quoted(header.name) .. ", " .. quoted(header.value) .. ")")
        else
            table.insert(found, "Header(" .. quoted(header.name) .. ", " .. quoted(header.value) .. ")")
        end
    end
    for _, query in ipairs(match.queryParams or {}) do
        local pattern = query.type == "RegularExpression" and query.value or exactly(query.value)
        table.insert(found, "QueryParam(" .. quoted(query.name) .. ", " .. quoted(pattern) .. ")")
    end
    if match.path then
        error("this script has no words for a match by path")
    end
    return found
end

local filters = {}
if obj.requestHeaderModifier then
    for _, header in ipairs(obj.requestHeaderModifier.set or {}) do
        table.insert(filters, "setRequestHeader(" .. quoted(header.name) .. ", " .. quoted(header.value) .. ")")
    end
    for _, name in ipairs(obj.requestHeaderModifier.remove or {}) do
        table.insert(filters, "dropRequestHeader(" .. quoted(name) .. ")")
    end
    if obj.requestHeaderModifier.add then
        error("this script has no words for headers that are added")
    end
    if not obj.matches then
        error("this script changes headers of matching requests only")
    end
end

-- A route for each match in front of each route that leads to the stable Service.
if obj.matches then
    local routes = spec.routes
    if not routes then
        routes = { { pathSubtree = "/" } }
    end
    local all = {}
    for _, route in ipairs(routes) do
        if is_stable(route.backends or spec.defaultBackends or {}) then
            for _, match in ipairs(obj.matches) do
                local own = json.decode(json.encode(route))
                own.backends = { { backendName = canary.name } }
                own.predicates = own.predicates or {}
                for _, predicate in ipairs(predicates_of(match)) do
                    table.insert(own.predicates, predicate)
                end
                if #filters > 0 then
                    own.filters = own.filters or {}
                    for _, filter in ipairs(filters) do
                        table.insert(own.filters, filter)
                    end
                end
                table.insert(all, own)
            end
        end
        table.insert(all, route)
    end
    spec.routes = all
end

return obj.data
