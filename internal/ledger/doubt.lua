-- doubt.lua ends a claim whose outcome is unknown. The generation stays in flight and is doubtful from then on.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of doubtArgs:
--   token
--   batch
--   call
--   generation
--   call_size  recipients of the call
--   back_off   in ms
--   count      1: the answer counts as an attempt of the call; 0: it does not
-- Returns {'doubtful', attempts of the call that were counted} | {'settled'|'stale'|'missing'|'newer'}. If another
-- claim holds the generation now, the script answers 'stale' and leaves the lease of that claim unchanged.
local bad = unfit()
if bad then return {bad} end
local token, batch, call, generation, call_size, back_off, count = unpack(ARGV)
local b, k, g = batch, call, generation
local rec = load_gen(b, k, g, tonumber(call_size))
if not rec or rec[STATE] == 't' then return {'settled'} end
if rec[TOKEN] ~= token then return {'stale'} end
if rec[STATE] == 's' then
  local now = now_ms()
  rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1', int(tonumber(rec[BAD]) + tonumber(count))
  rec[DUE] = int(now + tonumber(back_off))
  save_gen(b, k, g, rec)
  add('flyc', -1)
  -- A stopped campaign ends its doubtful calls now.
  redis.call('ZADD', O, 'XX', get('stop') and int(now) or rec[DUE], b)
end
return {'doubtful', rec[BAD]}
