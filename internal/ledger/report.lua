-- report.lua applies final delivery reports to accepted recipients. A report does not rewrite the record of its call:
-- it sets two bytes of the recipient's row in a page of the overlay (overlay.go). Every report is verified: its message
-- id must be the stored message id. A recipient that is delivered or undelivered never changes again.
-- KEYS: 1 ledger, 2 open set
-- ARGV: for each report, in the order of reportArgs:
--   batch
--   call
--   position  of the recipient in the call, from 0
--   row       of the recipient, from 1
--   id        message id in its stored form: tag, length and bytes (record.go)
--   status    4 delivered, 5 undelivered
--   reason    'reason:code' of an undelivered message, else ''
--   at        ms: when the report came
--   length      of the call's records; 0 without a proof (report_proof.go): the script then reads the records, which is slow
--   generation  of the call, in which the recipient was accepted
--   settled     the record of that generation
-- Returns one word for each report
--   'applied'    the recipient is delivered or undelivered from now on
--   'repeated'   the recipient was delivered or undelivered before, and stays unchanged
--   'unsettled'  no accepted message is stored for the recipient yet
--   'moved'      the recipient is in another batch now
--   'other'      the recipient's message has another id, or was refused
--   'stale'      the call has changed since the proof was made; the script has changed nothing
--   'missing', 'newer'  as in the other scripts
-- Running it again answers 'repeated' and changes nothing.
local PAGE_ROWS, ARGS = 16000, 11
local words_out, bad = {}, unfit()
if bad then
  for i = 1, #ARGV / ARGS do words_out[i] = bad end
  return words_out
end
local base = string.sub(L, 1, -2)
local total, per = num('total'), get('per')
local calls, ends, page_known, reasons = {}, {}, {}, nil
local moves, delays, delayed = {}, {}, false
-- The function "holds" keeps here what it has read from Redis: lengths of the records of calls, and generations.
local lengths, proved = {}, {}

-- record_at returns the status and the detail of the recipient at a position of a call. Of the earlier records in the
-- call it reads only the lengths. It returns nil if the call has no record at this position.
local byte = string.byte
local function record_at(blob, position)
  local pos = 1
  for _ = 1, position do
    local n = byte(blob, pos + 1)
    if not n then return nil end
    pos = pos + 2 + n
  end
  local s, n = byte(blob, pos, pos + 1)
  if not n or pos + 1 + n > #blob then return nil end
  return s, string.sub(blob, pos + 2, pos + 1 + n)
end

-- has_id reports whether a detail holds the message id, which may be the id of the recipient's
-- first or second message.
local function has_id(detail, id)
  if string.sub(detail, 3, 2 + #id) == id then return true end
  local pos = 3
  while pos < #detail do
    local tag, len = string.byte(detail, pos, pos + 1)
    if tag == 8 and string.sub(detail, pos + 4, pos + 3 + #id) == id then return true end
    pos = pos + (tag == 1 and 17 or 2 + len)
  end
  return false
end

-- settled_at returns the time in ms when a generation was settled. For an open generation it returns the time of the
-- last claim.
local function settled_at(b, k, g)
  local f = gen_field(b, k, g)
  if not ends[f] then
    local w = words(get(f) or '')
    ends[f] = tonumber(w[w[STATE] == 't' and T_AT or CLAIMED] or 0) or 0
  end
  return ends[f]
end

-- delay_code packs a time in ms into one byte. The code 1 means up to 0.1 s, and each further code means 6 percent
-- more. overlay.go has the same scale. 0 means that the time is not known.
local function delay_code(ms)
  if ms <= 100 then return 1 end
  return math.min(255, 1 + math.floor(math.log(ms / 100) / math.log(1.06)))
end

-- reason_code returns the position of a reason in the campaign's list of reasons, and adds the reason if the list is
-- not full.
local function reason_code(reason)
  if reason == '' then return 0 end
  if not reasons then
    reasons = {}
    for r in string.gmatch(get('dr') or '', '[^\n]+') do reasons[#reasons + 1] = r end
  end
  for i, r in ipairs(reasons) do
    if r == reason then return i end
  end
  if #reasons >= 63 then return 0 end
  reasons[#reasons + 1] = reason
  set('dr', table.concat(reasons, '\n'))
  return #reasons
end

-- accepted_in searches the records of a call for an accepted recipient. It returns the generation of the recipient's
-- message, or nil and the result of the report.
local function accepted_in(b, k, position, id)
  local f = result_field(b, k)
  if calls[f] == nil then calls[f] = get(f) end
  local blob = calls[f]
  if not blob then return nil, 'unsettled' end
  local s, detail = record_at(blob, position)
  if not s then return nil, 'other' end
  if s == MOVED then return nil, 'moved' end
  if s < 2 then return nil, 'unsettled' end
  if s == 2 or s > 5 or not has_id(detail, id) then return nil, 'other' end
  if s > 3 then return nil, 'repeated' end
  return pending_in(detail)
end

-- The function "holds" reports whether a proof is still valid.
local function holds(b, k, length, g, settled)
  local f, of = result_field(b, k), gen_field(b, k, g)
  if not lengths[f] then lengths[f] = redis.call('HSTRLEN', L, f) end
  if proved[of] == nil then proved[of] = get(of) end
  return lengths[f] == length and proved[of] == settled
end

-- The function "apply" applies one report, and returns the word for the outcome of this report.
local function apply(b, k, position, row, id, status, reason, at, length, g, settled)
  if length > 0 then
    if not holds(b, k, length, g, settled) then return 'stale' end
  else
    local word
    g, word = accepted_in(b, k, position, id)
    if not g then return word end
  end
  if row > total or row < 1 then return 'other' end
  local page = math.floor((row - 1) / PAGE_ROWS)
  local key, offset = base .. 'd:' .. int(page), 2 * ((row - 1) % PAGE_ROWS)
  if not page_known[page] then
    -- The page gets its full size at once, because a string that grows takes up to twice its size.
    local last = 2 * math.min(PAGE_ROWS, total - page * PAGE_ROWS) - 1
    if redis.call('EXISTS', key) == 0 then redis.call('SETRANGE', key, last, '\0') end
    page_known[page] = true
  end
  if string.byte(redis.call('GETRANGE', key, offset, offset)) ~= 0 then return 'repeated' end
  local since = settled_at(b, k, g)
  local delay = since > 0 and delay_code(at - since) or 0
  redis.call('SETRANGE', key, offset, string.char((status - 3) * 64 + reason_code(reason), delay))
  local a = per and string.match(b, '^(%d+)%.') or ''
  moves[a] = moves[a] or {0, 0}
  moves[a][status - 3] = moves[a][status - 3] + 1
  if status == 4 and delay > 0 then delays[delay], delayed = (delays[delay] or 0) + 1, true end
  return 'applied'
end

for i = 1, #ARGV, ARGS do
  local batch, call, position, row, id, status, reason, at, length, generation, settled = unpack(ARGV, i, i + ARGS - 1)
  words_out[#words_out + 1] = apply(batch, call, tonumber(position), tonumber(row), id, tonumber(status), reason, tonumber(at), tonumber(length), generation, settled)
end
for a, n in pairs(moves) do
  lane = a ~= '' and a or nil
  add('accepted', -n[1] - n[2])
  add('delivered', n[1])
  add('undelivered', n[2])
end
if delayed then
  for code, n in pairs(delays) do redis.call('HINCRBY', base .. 'dt', code, n) end
end
return words_out
