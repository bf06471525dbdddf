-- wrk script: posts the files listed in BENCH_BODIES (one path per line), in turn, as they are.
-- BENCH_HEADERS holds "Name: value" lines. With BENCH_DISTINCT set, every body ends in different
-- bytes, so that no cache can answer; this is only for tensors, where each byte is a pixel.
-- For each answer it prints "client begin end status", with times in seconds of the monotonic clock.
-- wrk must run a thread for each connection, or the script cannot match answers to requests.
local ffi = require("ffi")
ffi.cdef [[
    typedef struct { long sec; long nsec; } moment;
    int clock_gettime(int clock, moment *now);
]]
local MONOTONIC = 1
local moment = ffi.new("moment")
local bodies, requests, headers, number, begin = {}, {}, {}, 0, 0
local salt = os.getenv("BENCH_DISTINCT")

local function now()
    ffi.C.clock_gettime(MONOTONIC, moment)
    return tonumber(moment.sec) + tonumber(moment.nsec) / 1e9
end

local clients = 0
function setup(thread)
    io.stdout:setvbuf("line")
    thread:set("client", clients)
    clients = clients + 1
end

function init()
    for line in (os.getenv("BENCH_HEADERS") or ""):gmatch("[^\n]+") do
        local name, value = line:match("^([^:]+):%s*(.*)$")
        headers[name] = value
    end
    for path in io.lines(os.getenv("BENCH_BODIES")) do
        local file = assert(io.open(path, "rb"))
        bodies[#bodies + 1] = file:read("*a")
        file:close()
        requests[#requests + 1] = wrk.format("POST", nil, headers, bodies[#bodies])
    end
end

function request()
    number = number + 1
    local place = (number + client * 5) % #bodies + 1
    local text = requests[place]
    if salt then
        local stamp = string.format("%s%02d%06d", salt, client, number)
        text = wrk.format("POST", nil, headers, bodies[place]:sub(1, -#stamp - 1) .. stamp)
    end
    begin = now()
    return text
end

function response(status)
    io.write(string.format("%d %.6f %.6f %d\n", client, begin, now(), status))
end

function done(summary)
    local errors = summary.errors
    io.write(string.format("lost %d\n", errors.connect + errors.read + errors.write + errors.timeout))
end
