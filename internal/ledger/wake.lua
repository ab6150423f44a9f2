-- wake.lua gives a batch, or the plan, a new wake number because its last wake is lost.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of wakeArgs:
--   batch  or 'plan'
--   lost   the wake number that is lost
--   watch  ms until the sweeper checks the work again
-- Returns {'woken', wake} | {'closed'|'missing'|'newer'}. If another caller has already raised the number, the script
-- returns that number unchanged.
local batch, lost, watch = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end
if redis.call('ZADD', O, 'XX', 'CH', int(now_ms() + tonumber(watch)), batch) == 0 and not redis.call('ZSCORE', O, batch) then
  return {'closed'}
end
if num('w' .. batch) == tonumber(lost) then redis.call('HINCRBY', L, 'w' .. batch, 1) end
return {'woken', get('w' .. batch)}
