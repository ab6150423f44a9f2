-- give_back.lua takes the cancelled messages of a campaign off the daily count of the key that enqueued it. The caller passes
-- how many are cancelled in all, and the script remembers that, so that none is given back twice.
-- KEYS: 1 counts of the key (take.lua), 2 what was given back, by campaign
-- ARGV, in the order of giveBackArgs:
--   campaign   ID and time of creation
--   day        day since 1970 on which the campaign was counted
--   cancelled  messages in all
-- Returns {'ok'}. Running it again changes nothing.
local campaign, day, cancelled = unpack(ARGV)
local more = tonumber(cancelled) - tonumber(redis.call('HGET', KEYS[2], campaign) or 0)
if more <= 0 then return {'ok'} end
redis.call('HSET', KEYS[2], campaign, cancelled)
redis.call('EXPIRE', KEYS[2], 172800)
local was = redis.call('HMGET', KEYS[1], 'day', 'messages')
-- The count of an earlier day does not matter any more.
if tonumber(was[1]) == tonumber(day) then redis.call('HSET', KEYS[1], 'messages', math.max(0, tonumber(was[2]) - more)) end
return {'ok'}
