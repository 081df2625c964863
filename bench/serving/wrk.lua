-- Whole requests from files, one after the other; the result as one line of JSON.
local requests = {}
local at = 0

function init(files)
  for index = 1, #files do
    local file = assert(io.open(files[index], "rb"))
    requests[index] = file:read("*a")
    file:close()
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"replies": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
