-- copy.lua reads buckets of a suppression list.
-- KEYS: the buckets
-- ARGV: none
-- Returns one text with a line for each bucket: the fields of its numbers, each after a space. It changes nothing.
local out = {}
for i = 1, #KEYS do
  local numbers = redis.call('HKEYS', KEYS[i])
  if #numbers > 0 then out[#out + 1] = ' ' .. table.concat(numbers, ' ') end
  out[#out + 1] = '\n'
end
return {table.concat(out)}
