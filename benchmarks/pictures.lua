-- wrk script: posts the files named in BENCH_BODIES (one path a line), in turn, as they are.
-- BENCH_HEADERS holds "Name: value" lines. With BENCH_DISTINCT set, every body differs in its last
-- bytes, so that no cache can answer; only for tensors, where each byte is a pixel.
local bodies, headers, number = {}, {}, 0
local distinct = os.getenv("BENCH_DISTINCT") ~= nil

for path in io.lines(os.getenv("BENCH_BODIES")) do
    local file = assert(io.open(path, "rb"))
    bodies[#bodies + 1] = file:read("*a")
    file:close()
end
for line in (os.getenv("BENCH_HEADERS") or ""):gmatch("[^\n]+") do
    local name, value = line:match("^([^:]+):%s*(.*)$")
    headers[name] = value
end

local threads = 0
function setup(thread)
    thread:set("offset", threads * 5)
    threads = threads + 1
end

function request()
    number = number + 1
    local body = bodies[(number + offset) % #bodies + 1]
    if distinct then
        local stamp = string.format("%02d%010d", offset, number)
        body = body:sub(1, -13) .. stamp
    end
    return wrk.format("POST", nil, headers, body)
end

function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        "RESULT {\"requests\": %d, \"seconds\": %.6f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"errors\": %d}\n",
        summary.requests - errors.status, summary.duration / 1e6,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
