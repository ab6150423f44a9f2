-- note.lua stores the message ids of a call until they are in the index.
-- KEYS: 1 noted calls of the login, 2 its parked reports
-- ARGV, in the order of noteArgs:
--   most   maximum number of stored calls
--   token  names the call
--   note   what to enter (note.go)
--   life   ms for which the notes are kept after the last note of the login
-- Returns {parked}. parked is 1 if reports of the login are parked, else 0. Running it again stores the same
-- note with a later time.
local most, token, note, life = unpack(ARGV)
local t = redis.call('TIME')
if redis.call('HLEN', KEYS[1]) < tonumber(most) then
  redis.call('HSET', KEYS[1], token, string.format('%.0f ', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)) .. note)
  redis.call('PEXPIRE', KEYS[1], life)
end
return {redis.call('EXISTS', KEYS[2])}
