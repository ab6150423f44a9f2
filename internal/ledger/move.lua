-- move.lua moves recipients of one batch to batches of other accounts. These recipients are pending and have certainly
-- not been sent.
-- KEYS: 1 ledger, 2 open set
-- ARGV:
--   1  token
--   2  batch
--   3  open-batch limit of its stream
--   4  number of generations, then for each generation:
--        call, generation, revision that was read, recipients of the call, packed positions that move
--      then for each new batch:
--        name, calls, recipients, record, record of its bodies or ''
-- Returns {'moved', '0', 'batch:wake'…} | {'changed'|'busy'|'missing'|'newer'}
-- Either all of these recipients move, or none. 'changed': a generation has changed since it was read. 'busy': the
-- campaign is over, stopped or being retried.
local bad = unfit()
if bad then return {bad} end
local token, b, window = ARGV[1], ARGV[2], tonumber(ARGV[3])
local wakes = {}
local function answer()
  local out = {'moved', '0'}
  for _, x in ipairs(wakes) do out[#out + 1] = x end
  return out
end
local last = words(get('mt') or '')
if last[1] == token then
  for i = 2, #last do wakes[#wakes + 1] = last[i] end
  return answer()
end
if get('stop') or get('fin') or get('rt') then return {'busy'} end
if not get('b' .. b) then return {'changed'} end

-- Everything is read before the first write, because an unreadable record ends the script.
local at, gens, results, count = 5, {}, {}, 0
for i = 1, tonumber(ARGV[4]) do
  local k, g, n = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 3])
  local rec = load_gen(b, k, g, n)
  if not rec or rec[STATE] ~= 'r' or rec[REV] ~= ARGV[at + 2] then return {'changed'} end
  if not results[k] then results[k] = {read_results(b, k, n)} end
  members(b, k, g, n)
  gens[i] = {k, g, rec, n, unpack_members(ARGV[at + 4])}
  count = count + #gens[i][5]
  at = at + 5
end

local now, a, s = now_ms(), string.match(b, '^(%d+)%.(%d+)$')
for _, f in ipairs({'h:' .. a, 'nb:' .. a, 'ob:' .. a, 'l' .. b}) do num(f) end
for _, x in ipairs(gens) do
  local k, g, rec, n, list = x[1], x[2], x[3], x[4], x[5]
  local st, de = unpack(results[k])
  local gone = {}
  for _, p in ipairs(list) do
    gone[p] = true
    st[p + 1], de[p + 1] = MOVED, ''
  end
  write_results(b, k, st, de)
  if #list == tonumber(rec[SIZE]) then
    close_gen(b, k, g, rec, now, window, wakes)
  else
    take_out(b, k, g, rec, n, gone, now, window, wakes)
  end
end
-- If the whole batch moved before it was handed out, hand_out must not consider the batch again.
if int(num('h:' .. a)) == s and num('l' .. b) == 0 then add('h:' .. a, 1) end

local from, to = get('f' .. b), get('m' .. b)
local per = get('per')
if per then add('to:' .. a, -count) end
while ARGV[at] do
  local new = ARGV[at]
  local other = string.match(new, '^(%d+)%.')
  set('b' .. new, ARGV[at + 3], 'f' .. new, from and b .. ' ' .. from or b, 'w' .. new, '1')
  if ARGV[at + 4] ~= '' then set('t' .. new, ARGV[at + 4]) end
  add('l' .. new, tonumber(ARGV[at + 1]))
  if per then add('to:' .. other, tonumber(ARGV[at + 2])) end
  add('ob:' .. other, redis.call('ZADD', O, int(now + 5000), new))
  to = (to and to .. ' ' or '') .. new
  wakes[#wakes + 1] = new .. ':1'
  at = at + 5
end
set('m' .. b, to, 'mt', token .. ' ' .. table.concat(wakes, ' '))
return answer()
