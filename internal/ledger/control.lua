-- control.lua pauses, resumes or cancels a campaign.
-- KEYS: 1 ledger, 2 open set, 3 quarantined records, 4 quarantined work
-- ARGV, in the order of controlArgs:
--   token
--   order  'pause'|'resume'|'cancel'
--   by     one word: the name of the operator, or a reason
-- Returns {'ok'|'done'|'cancelled'|'missing'|'newer', calls in flight, recipients in flight}. Only the run that answers
-- 'ok' changes anything. After the answer to a pause or a cancel, no claim is granted. A repeated run with one of the
-- last eight tokens returns the same answer.
local token, order, by = unpack(ARGV)
local bad = unfit()
if bad then return {bad, '0', '0'} end
local ctl = get('ctl') or ''
local function answer(word) return {word, int(num('flyc')), int(num('fly'))} end
for t in string.gmatch(ctl, '%S+') do
  if t == token then return answer('ok') end
end
if get('stop') == 'cancelled' and order == 'cancel' then return answer('ok') end
if get('stop') then return answer(get('stop') == 'cancelled' and 'cancelled' or 'done') end
if get('fin') then return answer('done') end
local now = now_ms()
if order == 'pause' then
  if not get('paused') then set('paused', by .. ' ' .. int(now)) end
elseif order == 'resume' then
  accept_so_far()
  del('paused')
  for _, m in ipairs(redis.call('ZRANGE', O, 0, -1)) do
    if m ~= 'plan' then redis.call('ZADD', O, 'XX', 'LT', int(now), m) end
  end
  -- Quarantined work is tried again: its record may have been repaired.
  for _, m in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    local a = string.match(m, '^(%d+)%.%d+$')
    if redis.call('ZADD', O, int(now), m) == 1 and a then add('ob:' .. a, 1) end
  end
  redis.call('UNLINK', KEYS[3], KEYS[4])
  del('aside', 'left')
else
  stop('cancelled', now)
end
if not get('fin') then
  local keep = words(ctl)
  keep[#keep + 1] = token
  while #keep > 8 do table.remove(keep, 1) end
  set('ctl', table.concat(keep, ' '))
end
return answer('ok')
