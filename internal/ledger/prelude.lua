-- prelude.lua holds the functions that all campaign scripts share. Go puts it in front of each script (scripts.go).
-- KEYS[1] is always the campaign's ledger hash (L), KEYS[2] its open set (O). layout.go lists every field.
-- prelude.lua only defines locals; it changes nothing by itself.

local L, O = KEYS[1], KEYS[2]

-- expected is the upload token (the field "up") of the campaign that the caller has read. It is '' if the caller
-- accepts any campaign with the id. It is the last argument of every campaign script (function run in ledger.go).
local expected = table.remove(ARGV)

local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function int(n) return string.format('%.0f', n) end
local function get(f) return redis.call('HGET', L, f) end

-- unreadable ends the script with an error that names a field of the ledger hash. A script calls it before it
-- writes any part of that record, so that the caller can quarantine the unchanged record.
local function unreadable(f) error('UNREADABLE ' .. f) end

local function num(f) return tonumber(redis.call('HGET', L, f) or 0) or unreadable(f) end
local function set(...) return redis.call('HSET', L, ...) end
local function del(...) return redis.call('HDEL', L, ...) end

-- In a campaign with several accounts, each stream also has these counters. of_batch selects the stream (lane) of a
-- batch. After that, the function "add" changes the counter of the campaign and the counter of that stream.
local OF_LANE = {accepted = true, delivered = true, undelivered = true, rejected = true, unknown = true, fly = true, was = true, seg = true, cost = true}
local lane
local function of_batch(b) lane = get('per') and string.match(b, '^(%d+)%.') end

-- add changes the counter f by a number. A counter that becomes zero is deleted to save memory: a missing counter is
-- read as 0.
local function add(f, by)
  if by == 0 then return end
  if redis.call('HINCRBY', L, f, int(by)) == 0 then del(f) end
  if lane and OF_LANE[f] and redis.call('HINCRBY', L, f .. ':' .. lane, int(by)) == 0 then del(f .. ':' .. lane) end
end

-- unfit returns why the script may not touch this campaign ('missing' or 'newer'), or nil. The result is also
-- 'missing' if the upload token differs, because another campaign has replaced the campaign that the caller has read.
local function unfit()
  local v, up = unpack(redis.call('HMGET', L, 'v', 'up'))
  if not v or expected ~= '' and up ~= expected then return 'missing' end
  if (tonumber(v) or unreadable('v')) > 1 then return 'newer' end
  return nil
end

-- is_free reports whether another campaign may take the id, because this campaign was cancelled before any submission.
-- After planning, the campaign keeps the id for 15 minutes: a claim that Redis lost may get a late answer (index.go).
local function is_free()
  local stop, fin, calls, aside, left, skipped, total, planned = unpack(redis.call('HMGET', L, 'stop', 'fin', 'calls', 'aside', 'left', 'skipped', 'total', 'frozen'))
  return stop == 'cancelled' and fin and skipped == total and not (calls or aside or left) and (not planned or now_ms() - tonumber(fin) > 900000)
end

local LANES = 1024 -- the maximum number of streams of a campaign (MaxStreams in stream.go)

local STATUS = {[1] = 'unknown', [2] = 'rejected', [3] = 'accepted', [4] = 'delivered', [5] = 'undelivered'}
local RANK = {[0] = 0, 1, 2, 3, 4, 4}
-- MOVED replaces the status of a recipient that has moved to another batch (move.lua).
local MOVED = 6
-- OPTED is the status of a recipient that was skipped because of an opt-out after planning (narrow.lua).
local OPTED = 8

-- The record of a generation is text. These are the positions of its words, with the names of generation.go:
--   STATE    'r' ready, 's' submitting (claimed), 'd' doubtful; a settled generation ('t') has other words, below
--   TOKEN    token of the last claim
--   LEASE    end of that claim's lease, in ms
--   CLAIMED  time of that claim, in ms
--   FIRST    time of the first claim under UUID, in ms. While it equals CLAIMED, no earlier claim had this UUID
--   TRIES    answers that have counted as attempts so far
--   BAD      unknown answers, or lookups at the gateway, counted so far
--   DOUBT    1 if an earlier attempt may have reached the gateway
--   REV      revision: it changes when the next submission must be a different request
--   UUID     idempotency key; '-' before the first claim
--   LOGIN    fingerprint of the account at the first claim
--   DUE      earliest time of the next claim, in ms
--   SIZE     number of recipients
--   CLAIMS   number of claims
local STATE, TOKEN, LEASE, CLAIMED, FIRST, TRIES, BAD, DOUBT, REV, UUID, LOGIN, DUE, SIZE, CLAIMS = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
-- A settled generation keeps only its state 't' and these words: the UUID, the time of the settle, half of the last
-- claim's token, and the number of claims. The next word has "batch:wake" for each batch that its settle handed out
-- (or '-'). The last word is half of the token of the caller that abandoned the generation.
local T_UUID, T_AT, T_TOKEN, T_CLAIMS, T_WAKES, T_BY = 2, 3, 4, 5, 6, 7

-- half shortens a token to its first half, which is enough to tell apart the few callers of a settled generation.
local function half(token) return string.sub(token, 1, 6) end

local function gen_field(b, k, g) return 'g' .. b .. '.' .. k .. '.' .. g end
local function members_field(b, k, g) return 'i' .. b .. '.' .. k .. '.' .. g end
local function result_field(b, k) return 'r' .. b .. '.' .. k end

local function words(s)
  local w = {}
  for x in string.gmatch(s, '%S+') do w[#w + 1] = x end
  return w
end

local function new_gen(size, tries)
  return {'r', '-', '0', '0', '0', int(tries), '0', '0', '0', '-', '-', '0', int(size), '0'}
end

local STATES, NUMBERS = {r = true, s = true, d = true}, {LEASE, CLAIMED, FIRST, TRIES, BAD, DOUBT, REV, DUE, SIZE, CLAIMS}

-- is_gen reports whether w is a valid record of a generation. The method "valid" in generation.go makes the same test.
local function is_gen(w)
  if w[STATE] == 't' then return true end
  if not STATES[w[STATE]] or #w < CLAIMS then return false end
  for _, i in ipairs(NUMBERS) do
    if not string.find(w[i], '^%d+$') then return false end
  end
  return true
end

-- load_gen reads a generation. Without a record, generation 0 is ready and was never claimed; any other generation
-- does not exist, and load_gen returns nil.
local function load_gen(b, k, g, size)
  local s = get(gen_field(b, k, g))
  if s then
    local w = words(s)
    return is_gen(w) and w or unreadable(gen_field(b, k, g))
  end
  if g ~= '0' then return nil end
  return new_gen(size, 0)
end

local function save_gen(b, k, g, rec) set(gen_field(b, k, g), table.concat(rec, ' ')) end

local function unpack_members(s)
  local out = {}
  for i = 1, #s, 2 do out[#out + 1] = string.byte(s, i) * 256 + string.byte(s, i + 1) end
  return out
end

-- The function "members" returns the positions, from 0, of a generation's recipients in their call of n recipients. If
-- no list is stored, the generation has all recipients of the call.
local function members(b, k, g, n)
  local s, out = get(members_field(b, k, g)), {}
  if s then
    if #s == 0 or #s % 2 == 1 then unreadable(members_field(b, k, g)) end
    return unpack_members(s)
  end
  for i = 0, n - 1 do out[i + 1] = i end
  return out
end

local function pack_members(list)
  local out = {}
  for i, p in ipairs(list) do out[i] = string.char(math.floor(p / 256), p % 256) end
  return table.concat(out)
end

-- read_records splits a blob of [status][length][detail] into a list of statuses and a list of details, both from
-- index 1. It returns nil if the blob is cut short.
local function read_records(blob)
  local st, de, pos, i = {}, {}, 1, 0
  while pos <= #blob do
    local s, n = string.byte(blob, pos, pos + 1)
    if not n or pos + 1 + n > #blob then return nil end
    i = i + 1
    st[i], de[i] = s, string.sub(blob, pos + 2, pos + 1 + n)
    pos = pos + 2 + n
  end
  return st, de
end

-- read_results returns the statuses and the details of a call's n recipients. If n is 0, any number of recipients is
-- accepted. If the call has no stored results, all its recipients are pending.
local function read_results(b, k, n)
  local blob = get(result_field(b, k))
  local st, de = {}, {}
  if blob then
    st, de = read_records(blob)
    if not st or #st == 0 or n > 0 and #st ~= n then unreadable(result_field(b, k)) end
    return st, de
  end
  for i = 1, n do st[i], de[i] = 0, '' end
  return st, de
end

local function write_results(b, k, st, de)
  local out = {}
  for i = 1, #st do out[i] = string.char(st[i], #de[i]) .. de[i] end
  set(result_field(b, k), table.concat(out))
end

-- The detail of a pending recipient begins with two bytes: the number of the generation in which it waits. A retry or
-- resend of an unknown recipient keeps the old detail at the end, under tag 9. The old detail stays even if the
-- new message is rejected. If a later generation is then never claimed, the recipient becomes unknown again.
local function pending_in(detail)
  if detail == '' then return '0' end
  local hi, lo = string.byte(detail, 1, 2)
  return int(hi * 256 + lo)
end

local function pending_detail(g)
  return string.char(math.floor(tonumber(g) / 256), tonumber(g) % 256)
end

-- The function "further" returns the fields of a detail (record.go) that have the tag `tagged`. Each of these fields
-- is about a separate generation. The second result reports whether one of the fields is about the generation gen.
local function further(detail, tagged, gen)
  local out, has, pos = '', false, 3
  while pos < #detail do
    local tag, len = string.byte(detail, pos, pos + 1)
    local size = tag == 1 and 17 or 2 + len
    if tag == tagged then
      out = out .. string.sub(detail, pos, pos + size - 1)
      has = has or string.sub(detail, pos + 2, pos + 3) == gen
    end
    pos = pos + size
  end
  return out, has
end

-- with_past copies the field with tag 9 from the old detail to the end of the new detail. The field has the record from
-- before a retry or resend. If the field does not fit, with_past copies only the generation number in the field.
local function with_past(detail, old)
  local tail = further(old, 9)
  if #detail + #tail > 255 then tail = string.char(9, 2) .. string.sub(tail, 3, 4) end
  return detail .. tail
end

local function was_unknown(detail) return further(detail, 9) ~= '' end

-- The function "waiting" returns the members that are pending in a generation, and how many were unknown before a retry
-- or a resend.
local function waiting(b, k, g, n, st, de)
  local list, was = {}, 0
  for _, p in ipairs(members(b, k, g, n)) do
    if st[p + 1] == 0 and pending_in(de[p + 1]) == g then
      list[#list + 1] = p
      if was_unknown(de[p + 1]) then was = was + 1 end
    end
  end
  return list, was
end

local function in_flight(rec) return rec[STATE] == 's' or rec[STATE] == 'd' end

-- A campaign with a failure threshold or a canary has the field "lim". These are the positions of its words:
--   PERCENT     the threshold: at most this percentage of finished messages may be rejected or unknown
--   ENOUGH      messages that must have finished before a check of the threshold; not used at the end of the canary
--   SPAN        the count restarts after this many messages within the threshold: they must not hide later failures
--   BASE_ENDED  messages that had finished when the count last restarted
--   BASE_BAD    how many of the BASE_ENDED messages were rejected or unknown
--   CANARY      recipients that the canary is meant to have
--   IN_CANARY   recipients in the canary's batches planned so far
--   LEFT_OUT    recipients that planning skipped while the canary was open
--   PHASE       of the canary: 'p' while it is being planned, 's' once it is planned, '-' if it is over or does not exist
local PERCENT, ENOUGH, SPAN, BASE_ENDED, BASE_BAD, CANARY, IN_CANARY, LEFT_OUT, PHASE = 1, 2, 3, 4, 5, 6, 7, 8, 9
local BEING_PLANNED, ALL_PLANNED, OVER = 'p', 's', '-'

-- The function "limit" splits the field "lim" into its words. It returns nil if the field does not exist or cannot be
-- read. top_up.lua reports a field that cannot be read.
local function limit(lim)
  local w = words(lim or '')
  for i = PERCENT, LEFT_OUT do
    if not tonumber(w[i]) then return nil end
  end
  return w[PHASE] and w
end

local function is_canary_open(lim) return lim and string.sub(lim, -1) ~= OVER end

-- is_beyond_canary reports whether batch b must wait until the canary has ended. If the recipients of b moved
-- from another account, the canary is compared with the batch in which they were planned.
local function is_beyond_canary(b, lim)
  if not is_canary_open(lim) then return false end
  local a, s = string.match(get('f' .. b) or b, '(%d+)%.(%d+)$')
  return tonumber(s) >= num('cb:' .. a)
end

-- hand_out opens the next batches of the stream `a` as long as fewer than `window` batches (the open-batch limit)
-- are open. It appends "batch:wake" to `out` for each opened batch.
local function hand_out(a, window, now, out)
  local stop, lim = unpack(redis.call('HMGET', L, 'stop', 'lim'))
  if stop then return end
  local from, nb, ob = num('h:' .. a), num((is_canary_open(lim) and 'cb:' or 'nb:') .. a), num('ob:' .. a)
  local h, opened = from, 0
  while ob + opened < window and h < nb do
    local b = a .. '.' .. int(h)
    -- Redis may have lost data. Then the next batch may be settled or open already. A batch whose counters cannot be
    -- read is opened too, because the worker that loads the batch quarantines it.
    if (tonumber(get('l' .. b) or 0) or 1) > 0 then
      opened = opened + redis.call('ZADD', O, int(now + 5000), b)
      if tonumber(get('w' .. b) or 0) then out[#out + 1] = b .. ':' .. redis.call('HINCRBY', L, 'w' .. b, 1) end
    end
    h = h + 1
  end
  if h > from then set('h:' .. a, int(h)) end
  add('ob:' .. a, opened)
end

local TOO_MANY = 'too_many_rejected'

-- so_far returns four counts: finished recipients, rejected or unknown recipients, pending recipients, and
-- recipients that are finished or skipped.
local function so_far()
  local n = redis.call('HMGET', L, 'total', 'pending', 'skipped', 'rejected', 'unknown')
  for i = 1, 5 do n[i] = tonumber(n[i] or 0) end
  return n[1] - n[2] - n[3], n[4] + n[5], n[2], n[1] - n[2]
end

-- judge pauses a campaign that exceeds its failure threshold. It makes the first check at the end of the canary. After
-- that, it checks whenever at least ENOUGH messages have finished since the count restarted.
local function judge(now)
  local lim, stop, paused = unpack(redis.call('HMGET', L, 'lim', 'stop', 'paused'))
  local w = limit(lim)
  if not w or stop or string.find(paused or '', TOO_MANY, 1, true) then return end
  local ended, bad, pending, gone = so_far()
  local of = ''
  if w[PHASE] ~= OVER then
    if w[PHASE] ~= ALL_PLANNED or gone - tonumber(w[LEFT_OUT]) < tonumber(w[IN_CANARY]) then return end
    w[PHASE], of = OVER, '/canary'
    local marks = {}
    for a = 0, LANES - 1 do marks[a + 1] = 'cb:' .. a end
    del(unpack(marks))
  else
    -- A late result or a retry may have reduced the number of bad messages below the number stored in BASE_BAD.
    w[BASE_BAD] = int(math.min(tonumber(w[BASE_BAD]), bad))
    ended, bad = ended - tonumber(w[BASE_ENDED]), bad - tonumber(w[BASE_BAD])
    if ended < tonumber(w[ENOUGH]) then return end
  end
  if bad * 100 > tonumber(w[PERCENT]) * ended then
    if pending > 0 then set('paused', TOO_MANY .. '/' .. int(bad) .. '/' .. int(ended) .. of .. ' ' .. int(now)) end
  elseif ended >= tonumber(w[SPAN]) then
    w[BASE_ENDED], w[BASE_BAD] = int(tonumber(w[BASE_ENDED]) + ended), int(tonumber(w[BASE_BAD]) + bad)
  end
  set('lim', table.concat(w, ' '))
end

-- accept_so_far restarts the count if the campaign was paused for its failure threshold, so that sending can continue.
local function accept_so_far()
  local w = limit(get('lim'))
  if not w or not string.find(get('paused') or '', TOO_MANY, 1, true) then return end
  local ended, bad = so_far()
  w[BASE_ENDED], w[BASE_BAD] = int(ended), int(bad)
  set('lim', table.concat(w, ' '))
end

-- try_again subtracts n retried recipients from BASE_ENDED and BASE_BAD, because they will be counted a second time.
local function try_again(n)
  local w = n > 0 and limit(get('lim'))
  if not w then return end
  n = math.min(n, tonumber(w[BASE_BAD]))
  w[BASE_ENDED], w[BASE_BAD] = int(tonumber(w[BASE_ENDED]) - n), int(tonumber(w[BASE_BAD]) - n)
  set('lim', table.concat(w, ' '))
end

-- plan_canary adds a planned page to the state of the canary. left_out is how many recipients of the page were
-- skipped. batches are the page's batches in order, as {stream, recipients}. last is true for the last page.
local function plan_canary(left_out, batches, last)
  local w = limit(get('lim'))
  if not w or w[PHASE] == OVER then return end
  w[LEFT_OUT] = int(tonumber(w[LEFT_OUT]) + left_out)
  for _, x in ipairs(batches) do
    if w[PHASE] ~= BEING_PLANNED then break end
    w[IN_CANARY] = int(tonumber(w[IN_CANARY]) + x[2])
    add('cb:' .. x[1], 1)
    if tonumber(w[IN_CANARY]) >= tonumber(w[CANARY]) then w[PHASE] = ALL_PLANNED end
  end
  if last then w[PHASE] = ALL_PLANNED end
  set('lim', table.concat(w, ' '))
end

-- The settled record rec has "batch:wake" for each batch that the settle handed out. The function "told" appends these
-- texts to the list `out`, so that a repeated request gets the same answer.
local function told(rec, out)
  for w in string.gmatch(rec[T_WAKES] or '', '[%d.]+:%d+') do out[#out + 1] = w end
end

-- finish ends the campaign when no recipient is pending. It deletes the fields that only a running campaign needs. It
-- writes a small hash anew, so that Redis stores the hash compactly.
local function finish(now)
  if get('fin') or num('pending') > 0 or get('rt') then return end
  if num('cur') < num('pg') and not get('stop') then return end
  set('fin', int(now))
  redis.call('DEL', O)
  del('carry', 'pt', 'ctl', 'wplan', 'mt')
  if num('total') <= 8 and redis.call('HLEN', L) <= 128 then
    local all = redis.call('HGETALL', L)
    redis.call('DEL', L)
    set(unpack(all))
  end
end

-- outdated reports whether the campaign has received opt-outs that the caller has not read (exclude.lua).
local function outdated(version) return (get('ex') or '') ~= version end

-- forget_open removes an extra generation (any except 0) from its batch's list of open generations.
local function forget_open(b, kg)
  local x = get('x' .. b)
  if not x then return end
  local keep = {}
  for w in string.gmatch(x, '%S+') do
    if w ~= kg then keep[#keep + 1] = w end
  end
  if #keep > 0 then set('x' .. b, table.concat(keep, ' ')) else del('x' .. b) end
end

-- close_gen marks a generation as settled. If it was the last open generation of its batch, the batch closes and other
-- batches are handed out. If a caller abandoned the generation, the parameter "by" is the token of this caller.
local function close_gen(b, k, g, rec, now, window, wakes, by)
  local a = string.match(b, '^(%d+)%.')
  local was = rec[STATE]
  local token, claims = rec[TOKEN], rec[CLAIMS]
  if was == 's' then add('flyc', -1) end
  del(members_field(b, k, g))
  forget_open(b, k .. '.' .. g)
  add('l' .. b, -1)
  if num('l' .. b) <= 0 then
    if redis.call('ZREM', O, b) == 1 then add('ob:' .. a, -1) end
    hand_out(a, window, now, wakes)
  else
    redis.call('ZADD', O, 'XX', int(now + 5000), b)
  end
  local done = {'t', rec[UUID], int(now), half(token), claims}
  if #wakes > 0 or by then done[T_WAKES] = #wakes > 0 and table.concat(wakes, ',') or '-' end
  if by then done[T_BY] = half(by) end
  save_gen(b, k, g, done)
end

-- take_out removes recipients from a generation that has no claim. The keys of `gone` are the positions of these
-- recipients. The next submission is a different request, so take_out clears the idempotency key.
local function take_out(b, k, g, rec, n, gone, now, window, wakes)
  local keep = {}
  for _, p in ipairs(members(b, k, g, n)) do
    if not gone[p] then keep[#keep + 1] = p end
  end
  rec[SIZE], rec[REV], rec[UUID], rec[LOGIN], rec[FIRST] = int(#keep), int(tonumber(rec[REV]) + 1), '-', '-', '0'
  if #keep == 0 then return close_gen(b, k, g, rec, now, window, wakes) end
  set(members_field(b, k, g), pack_members(keep))
  save_gen(b, k, g, rec)
end

-- open_gen puts the listed recipients of a call into a new generation, which is ready at the time `due` (ms).
-- Each of these recipients is pending, or was unknown or rejected and gets its message once more.
local function open_gen(b, k, list, tries, due, st, de)
  local f = 'n' .. b .. '.' .. k
  local g = int(redis.call('HINCRBY', L, f, 1))
  local rec = new_gen(#list, tries)
  rec[DUE] = int(due)
  save_gen(b, k, g, rec)
  set(members_field(b, k, g), pack_members(list))
  for _, p in ipairs(list) do
    local old = de[p + 1]
    local tail = further(old, 9)
    if st[p + 1] == 1 then
      old = string.sub(old, 1, #old - #tail)
      tail = string.char(9, #old) .. old
    end
    st[p + 1], de[p + 1] = 0, pending_detail(g) .. tail
  end
  local x = get('x' .. b)
  set('x' .. b, (x and x .. ' ' or '') .. k .. '.' .. g)
  redis.call('HINCRBY', L, 'l' .. b, 1)
  return g
end

-- The function "stop" ends a campaign early. It skips the recipients that are not in flight: it changes the counters,
-- but no records. Recipients that were unknown before a retry become unknown again.
local function stop(why, now)
  if get('stop') or get('fin') then return end
  local left, was = num('pending') - num('fly'), num('was')
  set('stop', why, 'stop_at', int(now))
  add('pending', -left)
  add('unknown', was)
  add('skipped', left - was)
  add('x:' .. why, left - was)
  for a = 0, num('per') - 1 do
    add('unknown:' .. a, num('was:' .. a))
    del('was:' .. a)
  end
  redis.call('ZREM', O, 'plan')
  -- If the watch of a batch is a minute or more ahead, make the batch due now. The doubtful calls of such a batch wait
  -- for sending hours or a long back-off.
  for _, b in ipairs(redis.call('ZRANGEBYSCORE', O, int(now + 60000), '+inf')) do redis.call('ZADD', O, int(now), b) end
  del('carry', 'paused', 'was')
  finish(now)
end

-- The function "leave" takes n pending recipients out of flight. The parameter `was` is the number of these recipients
-- that were unknown before a retry or resend. In a stopped campaign they become unknown again; the others are skipped.
local function leave(n, was)
  add('fly', -n)
  local why = get('stop')
  if why then
    add('pending', -n)
    add('unknown', was)
    add('skipped', n - was)
    add('x:' .. why, n - was)
  else
    add('was', was)
  end
end
