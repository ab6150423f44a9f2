-- reschedule.lua moves the start of a campaign that has not begun.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of rescheduleArgs:
--   token
--   start_at    in ms; a time in the past means now
--   expires_in  ms from the start to the expiry; 0: the expiry stays where it is
-- Returns {'ok', wake number of planning} | {'begun'|'expired'|'cancelled'|'done'|'missing'|'newer'}
-- Only the run that answers 'ok' changes anything. 'expired': the campaign would expire before it starts. A repeated
-- run with one of the last eight tokens returns the same answer.
local token, start_at, expires_in = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end
local ctl = get('ctl') or ''
for t in string.gmatch(ctl, '%S+') do
  if t == token then return {'ok', get('wplan') or '1'} end
end
if get('stop') then return {get('stop') == 'cancelled' and 'cancelled' or 'done'} end
if get('fin') then return {'done'} end
local now, was, exp = now_ms(), get('start'), get('exp')
if get('frozen') or not was or tonumber(was) <= now then return {'begun'} end
local start = math.max(tonumber(start_at), now)
if expires_in ~= '0' then
  exp = int(start + tonumber(expires_in))
elseif exp and tonumber(exp) <= start then
  return {'expired'}
end
set('start', int(start))
if exp then set('exp', exp) end
-- If the start is now, the sweeper checks the plan after five seconds, as in commit.lua. The delay gives the producer
-- time to queue the plan task.
redis.call('ZADD', O, int(math.max(start, now + 5000)), 'plan')
local keep = words(ctl)
keep[#keep + 1] = token
while #keep > 8 do table.remove(keep, 1) end
set('ctl', table.concat(keep, ' '))
return {'ok', get('wplan') or '1'}
