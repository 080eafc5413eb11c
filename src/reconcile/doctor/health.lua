local hs = {status = "Progressing", message = "Waiting for rollout to finish"}
if obj.spec.paused then
  hs.status = "Suspended"
  hs.message = "Deployment is paused"
  return hs
end
if obj.status == nil or obj.metadata.generation == nil or (obj.status.observedGeneration or 0) < obj.metadata.generation then
  hs.message = "Waiting for rollout to finish: observed deployment generation less than desired generation"
  return hs
end
local all = obj.status.replicas or 0
local updated = obj.status.updatedReplicas or 0
if obj.spec.minReadySeconds == 2147483646 then
  local ready = obj.status.readyReplicas or 0
  if ready < all then
    hs.message = "Held by Windlass: " .. tostring(ready) .. " of " .. tostring(all) .. " pods are ready"
    return hs
  end
  hs.status = "Healthy"
  hs.message = "Held by Windlass at " .. tostring(updated) .. " new pods"
  return hs
end
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Progressing" and condition.reason == "ProgressDeadlineExceeded" then
    hs.status = "Degraded"
    hs.message = "Deployment exceeded its progress deadline"
    return hs
  end
end
local available = obj.status.availableReplicas or 0
if obj.spec.replicas ~= nil and updated < obj.spec.replicas then
  hs.message = "Waiting for rollout to finish: " .. tostring(updated) .. " new replicas have been updated"
  return hs
end
if all > updated then
  hs.message = "Waiting for rollout to finish: old replicas are pending termination"
  return hs
end
if available < updated then
  hs.message = "Waiting for rollout to finish: " .. tostring(available) .. " updated replicas are available"
  return hs
end
hs.status = "Healthy"
return hs
