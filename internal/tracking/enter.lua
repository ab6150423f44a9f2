-- enter.lua enters message ids into one segment of the index of a login (place.lua).
-- KEYS: 1 segments of the login
-- ARGV, in the order of enterArgs:
--   segment  number of the segment
--   members  for each bucket the number of its new members in 1 byte, the number of the bucket, and the members. The
--            number of the bucket and the members are decimal text, each after 1 byte with the length of the text. Redis
--            takes decimal text faster than numbers of Lua
-- Returns {"entered"}. Running it again changes nothing.
local segment, members = unpack(ARGV)
local prefix, call, byte, sub = KEYS[1] .. ':' .. segment .. ':', redis.call, string.byte, string.sub
local at, list = 1, {}
-- The script spends most of its time in this loop. So the loop has as few steps as possible.
while at < #members do
  local n, len = byte(members, at, at + 1)
  local bucket = prefix .. sub(members, at + 2, at + 1 + len)
  at = at + 2 + len
  for i = 1, n do
    local size = byte(members, at)
    list[i] = sub(members, at + 1, at + size)
    at = at + 1 + size
  end
  call('SADD', bucket, unpack(list, 1, n))
end
return {"entered"}
