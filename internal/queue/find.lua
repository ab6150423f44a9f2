-- find.lua returns where a task of asynq is.
-- KEYS: 1 record of the task, 2 list of pending tasks, 3 sorted set of scheduled tasks, 4 sorted set of tasks to retry
-- ARGV: id of the task; the name of the task's record ends with this id
-- Returns the place as a number of the Go type Place: 0 lost, done or archived | 1 waiting | 2 running
-- asynq 0.26 keeps the state of a task in its record, but takes tasks from the list and the sorted sets. If Redis has
-- lost one of these, no worker ever takes the task, although its record says that it waits. The task is then lost, and
-- the script deletes the record.
local id = ARGV[1]
local state, since = unpack(redis.call('HMGET', KEYS[1], 'state', 'pending_since'))

-- is_pending reports whether the list has the task. A search takes long if the list is long. So is_pending first compares
-- this task with the oldest task on the list. asynq takes the oldest task next. If the oldest task has waited longer
-- than this task, is_pending returns true without a search. Then a later run of the script decides.
local function is_pending()
  local oldest = redis.call('LINDEX', KEYS[2], -1)
  if not oldest or oldest == id then return oldest end
  local record = string.sub(KEYS[1], 1, #KEYS[1] - #id) .. oldest
  local first = tonumber(redis.call('HGET', record, 'pending_since') or '')
  since = tonumber(since or '')
  return first and since and first < since or redis.call('LPOS', KEYS[2], id)
end

if state == 'active' then return 2 end
local listed
if state == 'pending' then
  listed = is_pending()
elseif state == 'scheduled' then
  listed = redis.call('ZSCORE', KEYS[3], id)
elseif state == 'retry' then
  listed = redis.call('ZSCORE', KEYS[4], id)
else
  return 0
end
if listed then return 1 end
redis.call('DEL', KEYS[1])
return 0
