-- settle.lua writes what became of a generation's recipients, each merged with what is known: unknown < rejected <
-- accepted < delivered or undelivered. It is applied whatever the lease says, also for a claim that Redis forgot.
-- KEYS: 1 ledger, 2 open set
-- ARGV: 1 token, 2 batch, 3 call, 4 generation, 5 recipients of the call, 6 the generation's positions, packed, or '' for all,
--       7 one [status][length][detail] a position; status 0 is: certainly refused for now, goes into the next generation,
--       8 basis: 'answer' (the gateway's own), 'partial' (the same, but who is unknown in it stays doubtful and may be asked for
--         again under the same uuid), 'verdict' (ours), 'abandon' (a doubtful one that will not go again),
--       9 window, 10 back-off ms of the next generation, 11 segments a message, 12 accepted, 13 rejected, 14 unknown in 7
-- Returns {'settled', done 0|1, 'batch:wake'…} | {'superseded'|'missing'|'newer'}. The same again changes nothing.
local bad = unfit()
if bad then return {bad} end
local token, b, k, g, n = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local basis, window, segs = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[11])
local now, wakes = now_ms(), {}
local partial = basis == 'partial'
if partial then basis = 'answer' end
local rec = load_gen(b, k, g, n) or new_gen(n, 0)
local state = rec[STATE]
local mine = state == 's' and rec[TOKEN] == token
local stopped = get('stop')

local function answer()
  finish(now)
  local out = {'settled', get('fin') and '1' or '0'}
  for _, x in ipairs(wakes) do out[#out + 1] = x end
  return out
end

local a, r, u = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
if mine and not partial and g == '0' and a + r + u == n and (rec[DOUBT] == '0' or r == 0) and redis.call('HEXISTS', L, result_field(b, k)) == 0 then
  set(result_field(b, k), ARGV[7])
  add('pending', -n)
  add('fly', -n)
  add('accepted', a)
  add('rejected', r)
  add('unknown', u)
  add('segments', a * segs)
  close_gen(b, k, g, rec, now, window, wakes)
  return answer()
end

if state == 't' and rec[T_TOKEN] == token then
  for w in string.gmatch(rec[T_WAKES] or '', '[^,]+') do wakes[#wakes + 1] = w end
elseif basis == 'abandon' then
  if state ~= 'd' then return {'superseded'} end
elseif not mine and state ~= 'r' and basis == 'verdict' and a == 0 and state ~= 't' then
  return {'superseded'}
end

local list = {}
if ARGV[6] == '' then
  for i = 0, n - 1 do list[i + 1] = i end
else
  for i = 1, #ARGV[6], 2 do list[#list + 1] = string.byte(ARGV[6], i) * 256 + string.byte(ARGV[6], i + 1) end
end
local new, detail = read_records(ARGV[7])
local st, de = read_results(b, k, n)
local flight = in_flight(rec)
local moved, again, open, solved = {}, {}, 0, {}
local function move(f, by) moved[f] = (moved[f] or 0) + by end

local function resolve(i, ns, nd, flew)
  if flew then move('fly', -1) end
  if stopped and not flew then
    move('skipped', -1)
    move('x:' .. stopped, -1)
  else
    move('pending', -1)
  end
  move(STATUS[ns], 1)
  if ns >= 3 then move('segments', segs) end
  st[i], de[i] = ns, nd
end

for j, p in ipairs(list) do
  local i, ns, nd = p + 1, new[j], detail[j]
  if ns == 2 and rec[DOUBT] == '1' and basis ~= 'answer' then ns = 1 end
  if ns == 0 and mine and rec[DOUBT] == '1' then ns = 1 end
  local os = st[i]
  if os == 0 and state ~= 't' and pending_in(de[i]) == g then
    if ns == 0 and mine and not partial then
      again[#again + 1] = p
    elseif ns == 0 or (ns == 1 and state ~= 'r' and (partial or not mine and basis ~= 'abandon')) then
      open = open + 1
    else
      resolve(i, ns, nd, flight)
      solved[p] = true
    end
  elseif os == 0 then
    if ns >= 3 then
      local pg = pending_in(de[i])
      local other = load_gen(b, k, pg, n)
      resolve(i, ns, nd, other and in_flight(other))
      if other and other[STATE] == 'r' then take_out(b, k, pg, other, n, {[p] = true}, now, window, wakes) end
    end
  elseif ns == 0 then
    if os == 1 and state == 't' and rec[T_TOKEN] == token and rec[T_CLAIMS] == '1' then
      move('unknown', -1)
      move('rejected', 1)
      st[i], de[i] = 2, nd
    end
  elseif RANK[ns] > RANK[os] then
    move(STATUS[os], -1)
    move(STATUS[ns], 1)
    if os < 3 and ns >= 3 then move('segments', segs) end
    st[i], de[i] = ns, nd
  elseif ns >= 3 and os >= 3 and string.sub(nd, 1, 2) ~= string.sub(de[i], 1, 2) and not string.find(de[i], nd, 1, true) then
    local joined = de[i] .. string.char(8, #nd) .. nd
    if #joined <= 255 then
      st[i], de[i] = os, joined
      move('resent', 1)
    end
  end
end

if #again > 0 then
  leave(#again)
  if not stopped then open_gen(b, k, again, tonumber(rec[TRIES]) + 1, now + tonumber(ARGV[10]), st, de) end
end
for f, by in pairs(moved) do add(f, by) end
write_results(b, k, st, de)
if state ~= 't' then
  if open == 0 then
    close_gen(b, k, g, rec, now, window, wakes)
  elseif mine then
    rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1', int(tonumber(rec[BAD]) + 1)
    rec[DUE] = int(now + tonumber(ARGV[10]))
    save_gen(b, k, g, rec)
    add('flyc', -1)
    redis.call('ZADD', O, 'XX', rec[DUE], b)
  elseif state == 'r' and next(solved) then
    take_out(b, k, g, rec, n, solved, now, window, wakes)
  end
end
return answer()
