-- hold.lua holds an account by hand, until it is released by hand.
-- KEYS: 1 account
-- ARGV, in the order of holdArgs:
--   reason  one word
--   by      name of the person or program
-- Returns {'held'}. Running it again changes only the reason and the name.
local reason, by = unpack(ARGV)
local t = redis.call('TIME')
local now = string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
redis.call('HSET', KEYS[1], 'hold', reason, 'hold_by', by, 'hold_until', '0', 'hold_code', '')
redis.call('HDEL', KEYS[1], 'hold_bulk')
redis.call('HSETNX', KEYS[1], 'hold_at', now)
return {'held'}
