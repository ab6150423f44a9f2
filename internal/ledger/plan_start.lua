-- plan_start.lua starts or continues planning. The first call stores the planning snapshot; every call returns it.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of planStartArgs:
--   snapshot       record of the snapshot
--   watch          ms until the sweeper checks the plan again
--   sending_hours  sending hours of the campaign, or ''
--   streams        number of streams that get separate counts; 0: no separate counts
-- Returns {'go', snapshot, cursor, carried-over recipients, sending hours} | {'stopped'|'early'|'planned'|'missing'|'newer'}
-- 'early': the campaign starts later. The sweeper checks the plan at that time.
local snapshot, watch, sending_hours, streams = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end
if get('stop') then return {'stopped'} end
-- The task may have been queued for an earlier start (reschedule.lua). Planning then waits for the new start.
local start = get('start')
if start and tonumber(start) > now_ms() and not get('frozen') then
  redis.call('ZADD', O, 'XX', start, 'plan')
  return {'early'}
end
if redis.call('HSETNX', L, 'frozen', snapshot) == 1 then
  if sending_hours ~= '' then set('win', sending_hours) end
  if streams ~= '0' then set('per', streams) end
end
redis.call('ZADD', O, 'XX', int(now_ms() + tonumber(watch)), 'plan')
if num('cur') >= num('pg') then return {'planned'} end
return {'go', get('frozen'), get('cur'), get('carry') or '', get('win') or ''}
