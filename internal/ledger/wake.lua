-- wake.lua gives a batch, or the plan, a new wake number because its last wake is lost.
-- KEYS: 1 ledger, 2 open set
-- ARGV: 1 batch or 'plan', 2 wake number that is lost, 3 ms until the sweeper looks again
-- Returns {'woken', wake} | {'closed'|'missing'|'newer'}. If another caller has raised the number already, that number is
-- returned and not raised again.
local bad = unfit()
if bad then return {bad} end
if redis.call('ZADD', O, 'XX', 'CH', int(now_ms() + tonumber(ARGV[3])), ARGV[1]) == 0 and not redis.call('ZSCORE', O, ARGV[1]) then
  return {'closed'}
end
if num('w' .. ARGV[1]) == tonumber(ARGV[2]) then redis.call('HINCRBY', L, 'w' .. ARGV[1], 1) end
return {'woken', get('w' .. ARGV[1])}
