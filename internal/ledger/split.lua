-- split.lua ends a claim and divides its recipients into several generations. A worker uses it if the gateway refused
-- the whole call, perhaps because of some recipients only. A worker also uses it if a call is too large for the probe
-- of an account.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of splitArgs:
--   token
--   batch
--   call
--   generation
--   call_size   recipients of the call
--   open_batch_limit
--   first_size  0: the call was submitted, and is divided into up to PARTS equal parts. Another number: the call was
--               not submitted under this claim. It is not counted if its uuid is new. The number is that of the
--               recipients in the first of two parts
-- Returns {'split', done 0|1, 'batch:wake'…} | {'doubtful'|'settled'|'stale'|'missing'|'newer'}. Only the run that
-- answers 'split' changes anything. A doubtful generation is never split.

-- PARTS is 8: the first division of n recipients results in calls of n/8 recipients, so that few calls are made before
-- each recipient has a separate call. For example, it takes 25 calls to find the one refused recipient among 500.
local PARTS = 8

local bad = unfit()
if bad then return {bad} end
local token, batch, call, generation, call_size, open_batch_limit, first_size = unpack(ARGV)
local b, k, g, n = batch, call, generation, tonumber(call_size)
of_batch(b)
local rec = load_gen(b, k, g, n)
if not rec then return {'settled'} end
local now, wakes = now_ms(), {}
local function answer()
  local out = {'split', get('fin') and '1' or '0'}
  for _, x in ipairs(wakes) do out[#out + 1] = x end
  return out
end
if rec[STATE] == 't' then
  if rec[T_TOKEN] ~= half(token) then return {'settled'} end
  told(rec, wakes)
  return answer()
end
if rec[TOKEN] ~= token or rec[STATE] ~= 's' then return {'stale'} end
if rec[DOUBT] == '1' then return {'doubtful'} end

local st, de = read_results(b, k, n)
if first_size ~= '0' and rec[FIRST] == rec[CLAIMED] then add('calls', -1) end
local left, was = waiting(b, k, g, n, st, de)
leave(#left, was)
if not get('stop') and #left > 0 then
  local first = tonumber(first_size)
  local size = first > 0 and #left or math.ceil(#left / PARTS)
  local part, room = {}, first > 0 and first or size
  for i, p in ipairs(left) do
    part[#part + 1] = p
    if #part == room or i == #left then
      open_gen(b, k, part, tonumber(rec[TRIES]), 0, st, de)
      part, room = {}, size
    end
  end
  write_results(b, k, st, de)
end
close_gen(b, k, g, rec, now, tonumber(open_batch_limit), wakes)
finish(now)
return answer()
