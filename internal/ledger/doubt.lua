-- doubt.lua ends a claim whose outcome is unknown. The generation stays in flight and is doubtful from then on.
-- KEYS: 1 ledger, 2 open set
-- ARGV: 1 token, 2 batch, 3 call, 4 generation, 5 recipients, 6 back-off ms, 7 how much to count against the call (0|1)
-- Returns {'doubtful', count so far} | {'settled'|'stale'|'missing'|'newer'}. Another claim's lease does not change.
local bad = unfit()
if bad then return {bad} end
local token, b, k, g = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local rec = load_gen(b, k, g, tonumber(ARGV[5]))
if not rec or rec[STATE] == 't' then return {'settled'} end
if rec[TOKEN] ~= token then return {'stale'} end
if rec[STATE] == 's' then
  local now = now_ms()
  rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1', int(tonumber(rec[BAD]) + tonumber(ARGV[7]))
  rec[DUE] = int(now + tonumber(ARGV[6]))
  save_gen(b, k, g, rec)
  add('flyc', -1)
  redis.call('ZADD', O, 'XX', rec[DUE], b)
end
return {'doubtful', rec[BAD]}
