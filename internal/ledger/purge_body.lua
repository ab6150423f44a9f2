-- purge_body.lua removes the text of a campaign whose recipients have all ended with a known outcome. The campaign cannot be
-- retried afterwards.
-- KEYS: 1 ledger, 2 open set, 3 spec
-- ARGV, in the order of purgeBodyArgs:
--   before  record of the spec, as the caller has read it
--   after   the same record without the text
-- Returns {'purged'|'open'|'changed'|'missing'|'newer'}. Only the run that answers 'purged' changes anything.
-- Running it again answers 'changed'.
local before, after = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end
if not get('fin') or get('rt') or num('pending') + num('unknown') > 0 then return {'open'} end
if redis.call('GET', KEYS[3]) ~= before then return {'changed'} end
redis.call('SET', KEYS[3], after)
set('bare', '1')
return {'purged'}
