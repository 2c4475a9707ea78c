-- The job of healthgate's shipped configuration as far as Envoy's Lua filter can do it: trusted addresses, the check's
-- path, and maintenance thrown by the route. There is no timer, so there are no probes and no runtime keys.
local bit = require("bit")

local function number(address)
  local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)")
  if a then
    return bit.bor(bit.lshift(a, 24), bit.lshift(b, 16), bit.lshift(c, 8), d)
  end
end

local trusted = {
  { number("127.0.0.1"), bit.lshift(-1, 32 - 32) },
}

local function is_trusted(address)
  local n = number(address)
  if not n then
    return address:find("[::1]:", 1, true) == 1
  end
  for _, cidr in ipairs(trusted) do
    if bit.band(n, cidr[2]) == cidr[1] then
      return true
    end
  end
  return false
end

local answered = { GET = true, HEAD = true, OPTIONS = true }

function envoy_on_request(request)
  local headers = request:headers()
  local path = headers:get(":path")
  if path:match("^[^?]*") ~= "/my-service/healthcheck" then
    return
  end
  if not answered[headers:get(":method")] then
    return
  end
  if not is_trusted(request:streamInfo():downstreamDirectRemoteAddress()) then
    return
  end
  if request:metadata():get("maintenance") then
    request:respond({ [":status"] = "503", ["content-type"] = "text/plain" },
      "Under maintenance. Remove maintenance file when complete")
  else
    request:respond({ [":status"] = "200", ["content-type"] = "text/plain" }, "OK")
  end
end
