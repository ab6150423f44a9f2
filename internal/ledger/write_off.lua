-- write_off.lua ends a stopped campaign whose last recipients were in flight when their records became unreadable. Those
-- recipients become unknown.
-- KEYS: 1 ledger, 2 open set, 3 quarantined work
-- ARGV, in the order of writeOffArgs:
--   min_age  ms that must have passed since the last quarantine
-- Returns {'done'|'open'|'missing'|'newer'}. Running it again changes nothing.
local min_age = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end
if get('fin') then return {'done'} end
local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')
if not get('stop') or get('rt') or not last[2] or redis.call('ZCARD', O) > 0 then return {'open'} end
local now, left = now_ms(), num('pending')
if now - tonumber(last[2]) < tonumber(min_age) then return {'open'} end
add('pending', -left)
add('unknown', left)
for a = 0, num('per') - 1 do
  add('unknown:' .. a, num('fly:' .. a))
  del('fly:' .. a)
end
del('fly', 'flyc')
finish(now)
return {'done'}
