-- enter.lua enters message ids into one segment of the index of a login (place.lua).
-- KEYS: 1 segments of the login
-- ARGV, in the order of enterArgs:
--   segment  number of the segment
--   members  for each bucket: 1 byte with the count of its new members, then the number of the bucket, then the
--            members. The bucket's number and each member are decimal text, after 1 byte with the length of the text.
--            They are text because Redis adds text to a set faster than it adds numbers of Lua
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
