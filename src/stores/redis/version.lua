-- Stands before each of the other scripts.
-- The live value's version, without decoding the value: it begins with {"version":"<36 characters>", so the version is
-- bytes 12 to 47 whatever the size. '' when nothing is there, or nothing of ours.
local function version_of(key)
  local found = redis.pcall('GETRANGE', key, 12, 47)
  if type(found) == 'string' and #found == 36 and string.find(found, '^[%x-]+$') then return found end
  return ''
end

-- Byte by byte: Lua's own '<' follows the server's locale (Redis calls setlocale(LC_COLLATE, "")).
local function is_newer(a, b)
  for i = 1, #a do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return false
end

local live, stage, fence, saga = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
