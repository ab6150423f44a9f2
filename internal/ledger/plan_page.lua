-- plan_page.lua writes the plan of one page, if the cursor is still where the planner read it.
-- KEYS: 1 ledger, 2 open set
-- ARGV:
--   1  token
--   2  page
--   3  record of skipped recipients, or ''
--   4  recipients carried over to the next page, or ''
--   5  ms until the sweeper looks at the plan again
--   6  number of skip reasons, then for each: reason, count
--      then the number of open-batch limits, then for each: stream, limit
--      then for each batch: stream, calls, recipients, record, record of its bodies or ''
-- Returns {'ok', done 0|1, 'batch:wake'…} | {'stopped'|'moved'|'missing'|'newer'}
-- A repeat of the page committed last gets the same answer. Any other page than the next is 'moved' and changes nothing.
local bad = unfit()
if bad then return {bad} end
local pt = get('pt')
if pt and string.sub(pt, 1, #ARGV[1] + 1) == ARGV[1] .. ' ' then
  local out = {'ok', get('fin') and '1' or '0'}
  local w = words(pt)
  for i = 2, #w do out[#out + 1] = w[i] end
  return out
end
if get('stop') then return {'stopped'} end
if get('cur') ~= ARGV[2] then return {'moved'} end

local now = now_ms()
local page = tonumber(ARGV[2])
if ARGV[3] ~= '' then set('k' .. ARGV[2], ARGV[3]) end
if ARGV[4] ~= '' then set('carry', ARGV[4]) else del('carry') end
set('cur', int(page + 1))
local at, left_out, batches = 7, 0, {}
for _ = 1, tonumber(ARGV[6]) do
  local n = tonumber(ARGV[at + 1])
  add('x:' .. ARGV[at], n)
  add('skipped', n)
  add('pending', -n)
  left_out = left_out + n
  at = at + 2
end
local windows = {}
for i = 1, tonumber(ARGV[at]) do windows[i] = {ARGV[at + 1 + 2 * (i - 1)], tonumber(ARGV[at + 2 * i])} end
at = at + 1 + 2 * #windows
local per = get('per')
while ARGV[at] do
  local a = ARGV[at]
  local b = a .. '.' .. int(redis.call('HINCRBY', L, 'nb:' .. a, 1) - 1)
  set('b' .. b, ARGV[at + 3])
  if ARGV[at + 4] ~= '' then set('t' .. b, ARGV[at + 4]) end
  if per then add('to:' .. a, tonumber(ARGV[at + 2])) end
  add('l' .. b, tonumber(ARGV[at + 1])) -- added, not set: Redis may have lost the planning of a call that is settled already
  batches[#batches + 1] = {a, tonumber(ARGV[at + 2])}
  at = at + 5
end
plan_canary(left_out, batches, page + 1 >= num('pg'))
judge(now)
local wakes = {}
for _, w in ipairs(windows) do
  local mine = {}
  hand_out(w[1], w[2], now, mine)
  for _, x in ipairs(mine) do wakes[#wakes + 1] = x end
end
if page + 1 < num('pg') then
  redis.call('ZADD', O, 'XX', int(now + tonumber(ARGV[5])), 'plan')
else
  redis.call('ZREM', O, 'plan')
end
finish(now)
set('pt', ARGV[1] .. ' ' .. table.concat(wakes, ' '))
local out = {'ok', get('fin') and '1' or '0'}
for _, x in ipairs(wakes) do out[#out + 1] = x end
return out
