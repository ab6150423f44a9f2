-- retry_step.lua opens new generations for those recipients of one batch that a retry selects.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of retryStepArgs:
--   operation  number of the retry
--   batch
--   opted_out  packed positions (in the batch) of recipients that have opted out; these keep their status
-- then the number of recipients of each call of the batch; if there are no such numbers, the retry skips the batch
-- Returns {'open', next batch, recipients so far} | {'ended', '', recipients} | {'past'|'missing'|'newer'}
-- If the batch is not the next one of the operation, the script changes nothing and returns the next batch. 'past':
-- another retry has followed this one. 'missing' and 'newer' are explained at unfit() in prelude.lua.
local operation, batch, opted_out = unpack(ARGV, 1, 3)
local bad = unfit()
if bad then return {bad} end
local last, w = words(get('rlast') or ''), words(get('rt') or '')
if last[2] == operation then return {'ended', '', last[3]} end
if w[2] ~= operation then return {'past'} end
if w[5] ~= batch then return {'open', w[5], w[6]} end
local b = batch
local a = string.match(b, '^(%d+)%.')
of_batch(b)
local now, count, left, at = now_ms(), 0, 0, 0
local opted = {}
for _, p in ipairs(unpack_members(opted_out or '')) do opted[p] = true end

-- The function "after" returns the batch that follows x. That is the first batch to which recipients of x have
-- moved, or else the next batch with recipients from the same origin, or else the next planned batch.
local function after(x)
  local to = get('m' .. x)
  if to then return string.match(to, '^%S+') end
  local from = get('f' .. x)
  while from do
    local parent, found = string.match(from, '^%S+'), false
    for w in string.gmatch(get('m' .. parent) or '', '%S+') do
      if found then return w end
      found = w == x
    end
    x, from = parent, get('f' .. parent)
  end
  local o, s = string.match(x, '^(%d+)%.(%d+)$')
  if tonumber(s) + 1 < num('nb:' .. o) then return o .. '.' .. int(tonumber(s) + 1) end
  for n = tonumber(o) + 1, LANES - 1 do
    if num('nb:' .. n) > 0 then return n .. '.0' end
  end
end
local want = {[1] = w[3] == '1', [2] = w[4] == '1'}
local results = {} -- all results are read before the first write, because an unreadable record ends the script
for i = 4, #ARGV do
  local k = int(i - 4)
  if get(result_field(b, k)) then results[k] = {read_results(b, k, tonumber(ARGV[i]))} end
end
if not get('stop') then
  for i = 4, #ARGV do
    local k = int(i - 4)
    if results[k] then
      local st, de = unpack(results[k])
      local list, from = {}, {0, 0}
      for p = 1, #st do
        if want[st[p]] and opted[at + p - 1] then
          left = left + 1
        elseif want[st[p]] then
          list[#list + 1] = p - 1
          from[st[p]] = from[st[p]] + 1
        end
      end
      if #list > 0 then
        open_gen(b, k, list, 0, 0, st, de)
        write_results(b, k, st, de)
        add('unknown', -from[1])
        add('rejected', -from[2])
        add('pending', #list)
        local was = 0
        for _, p in ipairs(list) do
          if was_unknown(de[p + 1]) then was = was + 1 end
        end
        add('was', was)
        count = count + #list
      end
    end
    at = at + tonumber(ARGV[i])
  end
end
try_again(count)
if count > 0 then
  if redis.call('ZADD', O, int(now + 5000), b) == 1 then add('ob:' .. a, 1) end
  redis.call('HINCRBY', L, 'w' .. b, 1)
end
w[6], w[7] = int(tonumber(w[6]) + count), int(tonumber(w[7] or '0') + left)
local nxt = after(b)
if nxt then
  w[5] = nxt
  set('rt', table.concat(w, ' '))
  return {'open', nxt, w[6]}
end
del('rt')
set('rlast', w[1] .. ' ' .. w[2] .. ' ' .. w[6] .. ' ' .. w[7])
finish(now)
return {'ended', '', w[6]}
