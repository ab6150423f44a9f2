-- forget.lua replaces records of a finished campaign, to remove the number of one recipient.
-- KEYS: 1 ledger, 2 open set, 3 spec
-- ARGV, in the order of forgetArgs:
--   bare    0|1: 1 if the campaign cannot be retried afterwards
-- then for each record, in the order of forgetChange:
--   field   name of the record in the ledger, or 's' for the spec
--   before  the record, as the caller has read it
--   after   the new record
-- Returns {'forgotten'|'open'|'changed'|'missing'|'newer'}. Only the run that answers
-- 'forgotten' changes anything. Running it again answers 'changed'.
local bare = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end
if not get('fin') or get('rt') then return {'open'} end
local changes = {}
for i = 2, #ARGV, 3 do
  local field, before, after = unpack(ARGV, i, i + 2)
  local is_spec = field == 's'
  local now = is_spec and redis.call('GET', KEYS[3]) or not is_spec and get(field)
  if now ~= before then return {'changed'} end
  changes[#changes + 1] = {field, after, is_spec}
end
for _, x in ipairs(changes) do
  if x[3] then redis.call('SET', KEYS[3], x[2]) else set(x[1], x[2]) end
end
if bare == '1' then set('bare', '1') end
return {'forgotten'}
