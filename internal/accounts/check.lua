-- check.lua reports whether an account may be used now. When a hold has expired, one caller at a time gets the probe.
-- KEYS: 1 account
-- ARGV, in the order of checkArgs:
--   probe_life  ms that a probe may take
--   bulk        0|1: whether the caller's campaign is bulk. A hold for bulk campaigns does not stop other campaigns
-- Returns {'open', time of the last accepted call in ms}
--   | {'held'|'probe', reason, until ms, balance known at the hold, segments of the last refused call, time of this refusal}
-- If the answer is 'probe', the script sets the time until which no other caller gets a probe. The other answers change
-- nothing.
local probe_life, bulk = unpack(ARGV)
local A = KEYS[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local v = redis.call('HMGET', A, 'hold', 'hold_until', 'probe_until', 'ok_at', 'hold_balance', 'hold_size', 'hold_call', 'hold_bulk')
if not v[1] or v[8] == '1' and bulk == '0' then return {'open', v[4] or '0'} end
local until_ms = tonumber(v[2] or 0)
if until_ms == 0 or now < until_ms or now < tonumber(v[3] or 0) then
  return {'held', v[1], string.format('%.0f', math.max(until_ms, tonumber(v[3] or 0))), v[5] or '', v[6] or '0', v[7] or '0'}
end
redis.call('HSET', A, 'probe_until', string.format('%.0f', now + tonumber(probe_life)))
return {'probe', v[1], v[2], v[5] or '', v[6] or '0', v[7] or '0'}
