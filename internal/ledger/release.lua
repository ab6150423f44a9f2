-- release.lua ends a claim whose messages were certainly not sent. Doubt from an earlier attempt stays.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of releaseArgs:
--   token
--   batch
--   call
--   generation
--   call_size  recipients of the call
--   back_off   in ms
--   of         'unused': no call was made under this claim. If the uuid was new, it is cleared, and the call is not counted
--              | 'unsent': the call did not reach the gateway | 'answered': the gateway answered under this uuid, so the
--              next claim needs another uuid
--   open_batch_limit
-- Returns {'released', done 0|1, 'batch:wake'…} | {'settled'|'stale'|'missing'|'newer'}. A repeated run with the same
-- token returns the same answer. Only the run that answers 'released' changes anything.
local bad = unfit()
if bad then return {bad} end
local token, batch, call, generation, call_size, back_off, of, open_batch_limit = unpack(ARGV)
local b, k, g, n = batch, call, generation, tonumber(call_size)
of_batch(b)
local rec = load_gen(b, k, g, n)
local now, window, wakes = now_ms(), tonumber(open_batch_limit), {}
local function answer()
  local out = {'released', get('fin') and '1' or '0'}
  for _, x in ipairs(wakes) do out[#out + 1] = x end
  return out
end
if not rec then return {'settled'} end
if rec[STATE] == 't' then
  if rec[T_TOKEN] ~= half(token) then return {'settled'} end
  told(rec, wakes)
  return answer()
end
if rec[TOKEN] ~= token then return {'stale'} end
if rec[STATE] ~= 's' then return answer() end

rec[DUE] = int(now + tonumber(back_off))
if rec[DOUBT] == '1' then
  rec[STATE] = 'd'
  save_gen(b, k, g, rec)
  add('flyc', -1)
  redis.call('ZADD', O, 'XX', get('stop') and int(now) or rec[DUE], b)
  return answer()
end

local st, de = read_results(b, k, n)
local list, was = waiting(b, k, g, n, st, de)
local gone = {}
for _, p in ipairs(members(b, k, g, n)) do gone[p] = true end
for _, p in ipairs(list) do gone[p] = nil end
leave(#list, was)
local not_submitted = of == 'unused' and rec[FIRST] == rec[CLAIMED]
if not_submitted then add('calls', -1) end
if get('stop') then
  close_gen(b, k, g, rec, now, window, wakes)
else
  add('flyc', -1)
  rec[STATE] = 'r'
  if of == 'answered' then
    rec[REV], rec[UUID], rec[LOGIN], rec[FIRST] = int(tonumber(rec[REV]) + 1), '-', '-', '0'
  elseif not_submitted then
    rec[UUID], rec[LOGIN], rec[FIRST] = '-', '-', '0'
  end
  if next(gone) then
    take_out(b, k, g, rec, n, gone, now, window, wakes)
  else
    save_gen(b, k, g, rec)
  end
  redis.call('ZADD', O, 'XX', rec[DUE], b)
end
finish(now)
return answer()
