-- retry_open.lua starts a retry: unknown or rejected recipients are sent again because the operator asked for it.
-- retry_step.lua does the work, one batch at a time.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of retryOpenArgs:
--   token
--   unknown   0|1: recipients that ended unknown are sent again
--   rejected  0|1: recipients that ended rejected are sent again
-- Returns
--   {'open', operation number, batch to continue with, recipients so far}
--   {'ended', operation number, '', recipients}: the retry with this token is complete
--   {'busy'|'planning'|'stopped'|'nothing'|'bare'|'missing'|'newer'}: nothing changed. 'bare': purge_body.lua or forget.lua has removed a text or a number
local token, unknown, rejected = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end
local rt, last = get('rt'), get('rlast')
if last then
  local w = words(last)
  if w[1] == token then return {'ended', w[2], '', w[3]} end
end
if rt then
  local w = words(rt)
  if w[1] == token then return {'open', w[2], w[5], w[6]} end
  return {'busy'}
end
local exp = get('exp')
if get('stop') or exp and now_ms() >= tonumber(exp) then return {'stopped'} end
if num('cur') < num('pg') then return {'planning'} end
local some = (unknown == '1' and num('unknown') or 0) + (rejected == '1' and num('rejected') or 0)
if some == 0 then return {'nothing'} end
if get('bare') then return {'bare'} end
local first
for a = 0, LANES - 1 do
  if num('nb:' .. a) > 0 then first = a .. '.0' break end
end
local op = int(redis.call('HINCRBY', L, 'rop', 1))
del('fin')
set('rt', table.concat({token, op, unknown, rejected, first, '0', '0'}, ' '))
return {'open', op, first, '0'}
