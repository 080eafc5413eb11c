-- What a script finds: Lua 5.1's base (the safe part of it), table, string and math, and Kruise's json. All else goes.
-- The host gives three functions: `charge` takes steps from what the script may use, `encode` and `decode` are json's.
local charge, encode, decode = ...

local find, match, gmatch, gsub = string.find, string.match, string.gmatch, string.gsub
local rep, format, sort, real_tostring = string.rep, string.format, table.sort, tostring
local error, type = error, type

-- Text times pattern, in bytes: within one step of a match the interpreter cannot be stopped.
local MOST_WORK = 2 ^ 27
local LONGEST = 2 ^ 23

local function work(text, pattern)
    if (type(text) ~= "string" and type(text) ~= "number") or (type(pattern) ~= "string" and type(pattern) ~= "number") then
        return
    end
    local product = #real_tostring(text) * #real_tostring(pattern)
    if product > MOST_WORK then
        error("a text and a pattern that are too long to be searched", 3)
    end
    charge(product / 1024)
end

function string.find(text, pattern, ...)
    work(text, pattern)
    return find(text, pattern, ...)
end

function string.match(text, pattern, ...)
    work(text, pattern)
    return match(text, pattern, ...)
end

function string.gmatch(text, pattern, ...)
    work(text, pattern)
    return gmatch(text, pattern, ...)
end
string.gfind = string.gmatch

function string.gsub(text, pattern, ...)
    work(text, pattern)
    return gsub(text, pattern, ...)
end

function string.rep(text, count, ...)
    local amount = tonumber(count)
    if type(text) == "string" and amount then
        if text == "" or amount < 1 then
            return ""
        end
        if #text * amount > LONGEST then
            error("a text that is too long", 2)
        end
        charge(#text * amount / 1024)
    end
    return rep(text, count, ...)
end

-- Nothing that a script sees may tell where something lies in memory.
function tostring(value)
    local kind = type(value)
    local text = real_tostring(value)
    -- Its own words (`__tostring`) stay. What its metatable shows of itself (`__metatable`) says nothing about these.
    if kind ~= "string" and match(text, "^%a+: 0x%x+$") then
        return kind
    end
    return text
end

function string.format(text, ...)
    if type(text) == "string" and find(gsub(text, "%%%%", ""), "%*", 1, true) then
        error("invalid option '%*' to 'format'", 2)
    end
    return format(text, ...)
end

-- With a function in Lua, a long sort can be stopped.
function table.sort(list, before)
    return sort(list, before or function(a, b) return a < b end)
end

math.mod = math.fmod
math.randomseed(1)
print = function() end
_VERSION = "Lua 5.1"
json = { encode = encode, decode = decode }

local KEPT = {
    _G = true, _VERSION = true, assert = true, error = true, getmetatable = true, ipairs = true, json = true, next = true,
    pairs = true, pcall = true, print = true, rawequal = true, rawget = true, rawset = true, select = true,
    setmetatable = true, tonumber = true, tostring = true, type = true, unpack = true, xpcall = true,
    math = "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min mod modf pi pow rad random randomseed sin sinh sqrt tan tanh",
    string = "byte char find format gfind gmatch gsub len lower match rep reverse sub upper",
    table = "concat foreach foreachi getn insert maxn remove sort",
}

local function keep(library, names)
    local gone = {}
    for name in pairs(library) do
        if not find(" " .. names .. " ", " " .. name .. " ", 1, true) then
            gone[#gone + 1] = name
        end
    end
    for _, name in ipairs(gone) do
        library[name] = nil
    end
end

local gone = {}
for name in pairs(_G) do
    local kept = KEPT[name]
    if kept == nil then
        gone[#gone + 1] = name
    elseif kept ~= true then
        keep(_G[name], kept)
    end
end
for _, name in ipairs(gone) do
    _G[name] = nil
end
