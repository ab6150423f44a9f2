-- claim.lua grants or refuses the submission of one generation of a call. After 'go' the caller may write to the
-- gateway until its lease ends.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of claimArgs:
--   token
--   batch
--   wake             wake number; 0: not checked
--   call
--   generation
--   revision         the revision that the caller read
--   lease            in ms
--   idempotency_key  uuid to use if none is stored
--   login            fingerprint of the account
--   key_ttl          ms for which the gateway is known to remember a uuid; 0: it has no idempotency keys
--   size             number of recipients
--   spans            time spans in which the call may be made, 'from until from until …' in ms; '': at any time
--   exclusions       version of the campaign's opt-outs that the caller has read, or ''. The caller has removed the
--                    recipients in these opt-outs from the generation
--   recipients       the generation's phone numbers, each with a space after it; '': newer opt-outs always refuse the claim
-- Returns
--   {'go', uuid, doubt 0|1, first ms, claimed ms, tries, claims}: the only answer that allows a submission
--   {'settled'|'paused'|'canary'|'stale'|'changed'|'missing'|'newer'}
--   {'busy', until ms}: another claim holds the generation
--   {'later', due ms}: the generation is backing off
--   {'closed', opens ms}: the time is outside the sending hours
--   {'excluded'}: the campaign has newer opt-outs, and they may name a recipient. A doubtful generation never gets
--     this answer
--   {'stopped', reason, doubt 0|1}
--   {'doubtful', reason, claimed ms, lookups}: the generation must not be submitted again. The caller looks for its messages
--     at the gateway if that is possible (lookups: how many times it has looked), and settles the rest as unknown.
-- A repeated run with the same token returns the same answer. A claim whose lease ended without a settle makes the
-- generation doubtful.

local token, batch, wake, call, generation, revision, lease, idempotency_key, login, key_ttl, size, spans, exclusions, recipients = unpack(ARGV)
local b, k, g = batch, call, generation

-- The function "closed" returns nil if the call may be made now. Before a time span, it returns the start of this span
-- (ms). After the last span, it returns the end of that span, and the caller must compute new spans.
local function closed(now)
  local opens
  for from, till in string.gmatch(spans, '(%d+) (%d+)') do
    if now < tonumber(from) then return from end
    if now < tonumber(till) then return nil end
    opens = till
  end
  return opens
end

-- may_concern reports whether an opt-out that the caller has not read may name a recipient. If every new opt-out refused
-- the claim, a campaign that gets opt-outs faster than turns would never claim again.
local function may_concern()
  local last, known = tonumber(words(get('ex') or '')[1]), words(exclusions)
  local first = tonumber(known[1] or '0')
  if recipients == '' or not (last and first) or last <= first or last - first > 500 then return true end
  local fields = {}
  for n = first, last do fields[#fields + 1] = 'e' .. n end
  local entries, named = redis.call('HMGET', L, unpack(fields)), {}
  -- Redis may have lost the entries that the caller read, and may have given their numbers to later entries.
  if first > 0 and string.match(entries[1] or '', '^[^\n]*') ~= known[2] then return true end
  for i = 2, #fields do
    local numbers = string.match(entries[i] or '', '^[^\n]*\n[^\n]*\n([%d ]*)$')
    if not numbers then return true end -- the entry stands for every number on a list, or Redis has lost the entry
    for m in string.gmatch(numbers, '%d+') do named[m] = true end
  end
  for m in string.gmatch(recipients, '%d+') do
    if named[m] then return true end
  end
  return false
end

local bad = unfit()
if bad then return {bad} end
local now = now_ms()
local exp = get('exp')
if exp and now >= tonumber(exp) then stop('expired', now) end
of_batch(b)

local rec = load_gen(b, k, g, tonumber(size))
if not rec or rec[STATE] == 't' then return {'settled'} end
if rec[CLAIMS] == '0' and redis.call('HEXISTS', L, 'b' .. b) == 0 then return {'changed'} end
local again = rec[STATE] == 's' and rec[TOKEN] == token
if not again then
  if wake ~= '0' and num('w' .. b) > tonumber(wake) then return {'stale'} end
  if rec[STATE] == 's' then
    if now < tonumber(rec[LEASE]) then return {'busy', rec[LEASE]} end
    rec[STATE], rec[DOUBT] = 'd', '1'
    add('flyc', -1)
    save_gen(b, k, g, rec)
  end
  local why = get('stop')
  if why then return {'stopped', why, rec[STATE] == 'd' and '1' or '0'} end
  local paused, lim = unpack(redis.call('HMGET', L, 'paused', 'lim'))
  if paused then return {'paused'} end
  if is_beyond_canary(b, lim) then return {'canary'} end
  if now < tonumber(rec[DUE]) then return {'later', rec[DUE]} end
  if rec[REV] ~= revision then return {'changed'} end
end

if rec[STATE] == 'd' then
  local ttl, why = tonumber(key_ttl), nil
  if rec[LOGIN] ~= login then why = 'login_changed'
  elseif ttl == 0 then why = 'no_key'
  elseif now - tonumber(rec[FIRST]) > ttl then why = 'key_expired' end
  if why then return {'doubtful', why, rec[CLAIMED], rec[BAD]} end
end
if rec[STATE] == 'r' and outdated(exclusions) and may_concern() then return {'excluded'} end
local opens = not again and closed(now)
if opens then
  local z = 'z:' .. string.match(b, '^%d+')
  if words(get(z) or '')[2] ~= opens then set(z, int(now) .. ' ' .. opens) end
  return {'closed', opens}
end
local new = rec[STATE] == 'r' and (rec[UUID] == '-' or rec[LOGIN] ~= login)
if rec[STATE] == 'r' then
  if new then
    rec[UUID], rec[LOGIN], rec[FIRST] = idempotency_key, login, int(now)
    add('calls', 1)
  end
  add('fly', tonumber(rec[SIZE]))
  if g ~= '0' then
    local _, was = waiting(b, k, g, 0, read_results(b, k, 0))
    add('was', -was)
  end
end
if not again then
  rec[CLAIMS] = int(tonumber(rec[CLAIMS]) + 1)
  -- FIRST and CLAIMED are equal only in the first claim under a uuid.
  rec[CLAIMED] = int(new and now or math.max(now, tonumber(rec[FIRST]) + 1))
  add('flyc', 1)
end
rec[STATE], rec[TOKEN] = 's', token
rec[LEASE] = int(now + tonumber(lease))
save_gen(b, k, g, rec)
if redis.call('ZADD', O, int(tonumber(rec[LEASE]) + 1000), b) == 1 then
  add('ob:' .. string.match(b, '^(%d+)%.'), 1)
end
return {'go', rec[UUID], rec[DOUBT], rec[FIRST], rec[CLAIMED], rec[TRIES], rec[CLAIMS]}
