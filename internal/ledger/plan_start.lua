-- plan_start.lua freezes what planning depends on, at the first call, and gives back what is frozen.
-- KEYS: 1 ledger, 2 open set
-- ARGV: 1 frozen record, 2 ms until the sweeper may look, 3 sending hours or '', 4 lanes of which each is counted, 0: none
-- Returns {'go', frozen, cursor, carry, sending hours} | {'stopped'|'planned'|'missing'|'newer'}
local bad = unfit()
if bad then return {bad} end
if get('stop') then return {'stopped'} end
if redis.call('HSETNX', L, 'frozen', ARGV[1]) == 1 then
  if ARGV[3] ~= '' then set('win', ARGV[3]) end
  if ARGV[4] ~= '0' then set('per', ARGV[4]) end
end
redis.call('ZADD', O, 'XX', int(now_ms() + tonumber(ARGV[2])), 'plan')
if num('cur') >= num('pg') then return {'planned'} end
return {'go', get('frozen'), get('cur'), get('carry') or '', get('win') or ''}
