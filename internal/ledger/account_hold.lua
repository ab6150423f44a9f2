-- account_hold.lua holds an account by hand, until it is released by hand.
-- KEYS: 1 account
-- ARGV: 1 reason, one word, 2 name of the person or program
-- Returns {'held'}. Running it again changes only the reason and the name.
local t = redis.call('TIME')
local now = string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
redis.call('HSET', KEYS[1], 'hold', ARGV[1], 'hold_by', ARGV[2], 'hold_until', '0', 'hold_code', '')
redis.call('HSETNX', KEYS[1], 'hold_at', now)
return {'held'}
