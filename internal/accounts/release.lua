-- release.lua lifts the hold of an account, whatever the kind of hold. Calls that were claimed before the release
-- cannot hold the account again.
-- KEYS: 1 account
-- ARGV: none
-- Returns {'released'|'open'}. 'open': the account was not held, and nothing changed.
local A = KEYS[1]
if redis.call('HEXISTS', A, 'hold') == 0 then return {'open'} end
local t = redis.call('TIME')
redis.call('HDEL', A, 'hold', 'hold_code', 'hold_by', 'hold_at', 'hold_until', 'hold_balance', 'hold_size', 'hold_call', 'hold_bulk', 'probe_until', 'bad', 'ring',
  'trips', 'refused')
redis.call('HSET', A, 'released_at', string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)))
return {'released'}
