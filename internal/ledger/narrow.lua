-- narrow.lua removes recipients that have opted out from a generation that has certainly not been submitted. Recipients
-- that were unknown before a retry or a resend become unknown again. Other recipients are skipped. The next submission
-- of the generation is a different request.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of narrowArgs:
--   token
--   batch
--   call
--   generation
--   revision   the revision that the caller read
--   call_size  recipients of the call
--   open_batch_limit
--   positions  packed positions to remove
--   records    one [status][length][detail] for each position
-- Returns {'narrowed', done 0|1, 'batch:wake'…} | {'settled'|'changed'|'canary'|'missing'|'newer'}
-- Only the run that answers 'narrowed' changes anything. 'canary': the generation waits for the canary to end. The
-- script removes no recipients before that, because the canary would count the skipped recipients as its own.
local bad = unfit()
if bad then return {bad} end
local token, batch, call, generation, revision, call_size, open_batch_limit, positions, records = unpack(ARGV)
local b, k, g, n = batch, call, generation, tonumber(call_size)
of_batch(b)
local now, window, wakes = now_ms(), tonumber(open_batch_limit), {}
local function answer()
  local out = {'narrowed', get('fin') and '1' or '0'}
  for _, x in ipairs(wakes) do out[#out + 1] = x end
  return out
end
local rec = load_gen(b, k, g, n)
if not rec then return {'settled'} end
if rec[STATE] == 't' then
  if rec[T_TOKEN] ~= half(token) then return {'settled'} end
  told(rec, wakes)
  return answer()
end
if rec[STATE] == 'r' and rec[TOKEN] == token and tonumber(rec[REV]) == tonumber(revision) + 1 then return answer() end
if rec[STATE] ~= 'r' or rec[REV] ~= revision or get('stop') or not get('b' .. b) then
  return {'changed'} -- the generation is not as the caller read it, or Redis lost the move that made this batch
end

if is_beyond_canary(b, get('lim')) then return {'canary'} end

local st, de = read_results(b, k, n)
local _, detail = read_records(records)
local gone, count, was = {}, 0, 0
for j, p in ipairs(unpack_members(positions)) do
  local i = p + 1
  if st[i] == 0 and pending_in(de[i]) == g then
    gone[p], count = true, count + 1
    if was_unknown(de[i]) then
      st[i], de[i], was = 1, string.sub(further(de[i], 9), 3), was + 1
    else
      st[i], de[i] = OPTED, detail[j]
    end
  end
end
if count == 0 then return {'changed'} end
add('pending', -count)
add('unknown', was)
add('was', -was)
add('skipped', count - was)
add('x:opted_out', count - was)
if lane then add('to:' .. lane, was - count) end
write_results(b, k, st, de)
judge(now)
rec[TOKEN] = token
if count == tonumber(rec[SIZE]) then
  close_gen(b, k, g, rec, now, window, wakes)
else
  take_out(b, k, g, rec, n, gone, now, window, wakes)
end
finish(now)
return answer()
