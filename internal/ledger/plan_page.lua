-- plan_page.lua writes the plan of one page, if no other page was written since the planner read the cursor.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of planPageArgs:
--   token
--   snapshot    record of the snapshot with which the page was planned, a space, and its sending hours
--   page
--   skipped     record of skipped recipients, or ''
--   carry       recipients carried over to the next page, or ''
--   watch       ms until the sweeper checks the plan again
--   other_text  number of skipped duplicates that have another text
--   reasons     number of skip reasons
-- then for each skip reason: reason, count
-- then the number of open-batch limits, and for each: stream, limit
-- then for each batch, in the order of plannedBatchArgs:
--   stream
--   calls       number of calls
--   recipients  number of recipients
--   record
--   bodies      record of its bodies, or ''
-- Returns {'ok', done 0|1, 'batch:wake'…} | {'stopped'|'moved'|'missing'|'newer'}
-- If the page committed last is committed again, the script returns the same answer. For any page other than the next
-- one the answer is 'moved', and nothing changes. The answer is also 'moved' for a page that was planned with another
-- snapshot: Redis has restarted after plan_start.lua, and has lost the snapshot of that page's planner.
local token, snapshot, page, skipped, carry, watch, other_text, reasons = unpack(ARGV, 1, 8)
local bad = unfit()
if bad then return {bad} end
local pt = get('pt')
if pt and string.sub(pt, 1, #token + 1) == token .. ' ' then
  local out = {'ok', get('fin') and '1' or '0'}
  local w = words(pt)
  for i = 2, #w do out[#out + 1] = w[i] end
  return out
end
if get('stop') then return {'stopped'} end
if get('cur') ~= page or (get('frozen') or '') .. ' ' .. (get('win') or '') ~= snapshot then return {'moved'} end

local now = now_ms()
local following = tonumber(page) + 1
if skipped ~= '' then set('k' .. page, skipped) end
if carry ~= '' then set('carry', carry) else del('carry') end
set('cur', int(following))
local at, left_out, batches = 9, 0, {}
for _ = 1, tonumber(reasons) do
  local n = tonumber(ARGV[at + 1])
  add('x:' .. ARGV[at], n)
  add('skipped', n)
  add('pending', -n)
  left_out = left_out + n
  at = at + 2
end
if other_text ~= '0' then add('xt', tonumber(other_text)) end
local windows = {}
for i = 1, tonumber(ARGV[at]) do windows[i] = {ARGV[at + 1 + 2 * (i - 1)], tonumber(ARGV[at + 2 * i])} end
at = at + 1 + 2 * #windows
local per = get('per')
while ARGV[at] do
  local stream, calls, recipients, record, bodies = unpack(ARGV, at, at + 4)
  local a = stream
  local b = a .. '.' .. int(redis.call('HINCRBY', L, 'nb:' .. a, 1) - 1)
  set('b' .. b, record)
  if bodies ~= '' then set('t' .. b, bodies) end
  if per then add('to:' .. a, tonumber(recipients)) end
  -- add, not set: Redis may have lost the planning of this batch, and kept the settle of one of its calls. That settle
  -- has lowered this count already.
  add('l' .. b, tonumber(calls))
  batches[#batches + 1] = {a, tonumber(recipients)}
  at = at + 5
end
plan_canary(left_out, batches, following >= num('pg'))
judge(now)
local wakes = {}
for _, w in ipairs(windows) do
  local mine = {}
  hand_out(w[1], w[2], now, mine)
  for _, x in ipairs(mine) do wakes[#wakes + 1] = x end
end
if following < num('pg') then
  redis.call('ZADD', O, 'XX', int(now + tonumber(watch)), 'plan')
else
  redis.call('ZREM', O, 'plan')
end
finish(now)
set('pt', token .. ' ' .. table.concat(wakes, ' '))
local out = {'ok', get('fin') and '1' or '0'}
for _, x in ipairs(wakes) do out[#out + 1] = x end
return out
