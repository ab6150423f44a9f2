-- plan_start.lua starts or continues planning. The first call stores the planning snapshot; every call returns it.
-- KEYS: 1 ledger, 2 open set
-- ARGV:
--   1  snapshot record
--   2  ms until the sweeper looks at the plan again
--   3  sending hours, or ''
--   4  number of streams to keep separate counts for; 0: none
-- Returns {'go', snapshot, cursor, carried-over recipients, sending hours} | {'stopped'|'planned'|'missing'|'newer'}
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
