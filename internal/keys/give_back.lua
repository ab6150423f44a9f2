-- give_back.lua subtracts the cancelled messages of a campaign from the daily count of the key that enqueued the
-- campaign. The caller passes the total number of cancelled messages. The script stores this number, so that no
-- message is given back twice.
-- KEYS: 1 counts of the key (take.lua), 2 numbers of messages that were given back, by campaign
-- ARGV, in the order of giveBackArgs:
--   campaign   ID and time of creation
--   day        day since 1970 on which the campaign was counted
--   cancelled  total number of cancelled messages
-- Returns {'ok'}. A repeated run changes nothing.
local campaign, day, cancelled = unpack(ARGV)
local more = tonumber(cancelled) - tonumber(redis.call('HGET', KEYS[2], campaign) or 0)
if more <= 0 then return {'ok'} end
redis.call('HSET', KEYS[2], campaign, cancelled)
redis.call('EXPIRE', KEYS[2], 172800)
local was = redis.call('HMGET', KEYS[1], 'day', 'messages')
-- If the stored count is the count of a later day, it does not contain the cancelled messages and stays unchanged.
if tonumber(was[1]) == tonumber(day) then redis.call('HSET', KEYS[1], 'messages', math.max(0, tonumber(was[2]) - more)) end
return {'ok'}
