-- move.lua moves recipients of one batch to batches of other accounts. These recipients are pending and have certainly
-- not been sent.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of moveArgs:
--   token
--   batch
--   open_batch_limit  of the batch's stream
--   generations       number of generations
-- then for each generation, in the order of movedGenerationArgs:
--   call
--   generation
--   revision          the revision that the caller read
--   call_size         recipients of the call
--   positions         packed positions that move
-- then for each new batch, in the order of newBatchArgs:
--   name
--   calls             number of calls
--   recipients        number of recipients
--   record
--   bodies            record of its bodies, or ''
-- Returns {'moved', '0', 'batch:wake'…} | {'changed'|'busy'|'missing'|'newer'}
-- Either all of these recipients move, or no recipient moves. 'changed': a generation has changed since it was read.
-- 'busy': the campaign is over, stopped or being retried.
local bad = unfit()
if bad then return {bad} end
local token, batch, open_batch_limit, generations = unpack(ARGV, 1, 4)
local b, window = batch, tonumber(open_batch_limit)
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
for i = 1, tonumber(generations) do
  local call, generation, revision, call_size, positions = unpack(ARGV, at, at + 4)
  local k, g, n = call, generation, tonumber(call_size)
  local rec = load_gen(b, k, g, n)
  if not rec or rec[STATE] ~= 'r' or rec[REV] ~= revision then return {'changed'} end
  if not results[k] then results[k] = {read_results(b, k, n)} end
  members(b, k, g, n)
  gens[i] = {k, g, rec, n, unpack_members(positions)}
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
-- If the whole batch moved before it was handed out, the function hand_out must skip this batch later.
if int(num('h:' .. a)) == s and num('l' .. b) == 0 then add('h:' .. a, 1) end

local from, to = get('f' .. b), get('m' .. b)
local per = get('per')
if per then add('to:' .. a, -count) end
while ARGV[at] do
  local name, calls, recipients, record, bodies = unpack(ARGV, at, at + 4)
  local other = string.match(name, '^(%d+)%.')
  set('b' .. name, record, 'f' .. name, from and b .. ' ' .. from or b, 'w' .. name, '1')
  if bodies ~= '' then set('t' .. name, bodies) end
  add('l' .. name, tonumber(calls))
  if per then add('to:' .. other, tonumber(recipients)) end
  add('ob:' .. other, redis.call('ZADD', O, int(now + 5000), name))
  to = (to and to .. ' ' or '') .. name
  wakes[#wakes + 1] = name .. ':1'
  at = at + 5
end
set('m' .. b, to, 'mt', token .. ' ' .. table.concat(wakes, ' '))
return answer()
