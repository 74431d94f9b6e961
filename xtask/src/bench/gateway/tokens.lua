-- A token request for each assertion of the file that is named, none twice.
local requests, at = {}, 0

function init(args)
  local form = "grant_type=client_credentials&scope=system%2F*.rs"
    .. "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
    .. "&client_assertion="
  for assertion in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, nil, form .. assertion)
  end
end

-- After the last the first comes again, which is refused and counts as wrong: there were too few.
function request()
  at = at % #requests + 1
  return requests[at]
end
