package awssim

import (
	"fmt"
	"net/http"
	"time"
)

// accountOperations are those of AWS Account Management. Its protocol is REST with JSON:
// an operation's path is its name, which begins with a small letter. Source: Account
// Management API reference.
var accountOperations = map[string]operation{
	"EnableRegion":       {mutating: true, handle: enableRegion},
	"DisableRegion":      {mutating: true, handle: disableRegion},
	"GetRegionOptStatus": {handle: getRegionOptStatus},
}

type regionRequest struct {
	AccountID  string `json:"AccountId"`
	RegionName string
}

// enableRegion enables an opt-in Region for the caller's account. AWS takes minutes to
// hours; here, it takes as long as a change takes to be visible. Fact: NET-5.
func enableRegion(c *call) (any, error) {
	r, err := namedRegion(c)
	if err != nil {
		return nil, err
	}
	c.w.enableRegion(c.account(), r, c.now)
	return nil, nil
}

func (w *World) enableRegion(a *account, r *region, now time.Time) {
	if _, already := a.enabled[r.name]; r.optIn && !already {
		a.enabled[r.name] = now.Add(w.options.PropagationLag)
	}
}

// EnableRegion enables an opt-in Region for an account, as the account can.
func (w *World) EnableRegion(accountID, regionName string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, r := w.accounts[accountID], w.regions[regionName]
	if a == nil || r == nil {
		return fmt.Errorf("account %s or Region %s does not exist", accountID, regionName)
	}
	w.enableRegion(a, r, time.Now())
	return nil
}

// disableRegion disables an opt-in Region for the caller's account, at once.
func disableRegion(c *call) (any, error) {
	r, err := namedRegion(c)
	if err != nil {
		return nil, err
	}
	if !r.optIn {
		return nil, badRequest("ValidationException", "%s can't be disabled", r.name)
	}
	if from, enabled := c.account().enabled[r.name]; enabled && from.After(c.now) {
		return nil, &Error{Status: http.StatusConflict, Code: "ConflictException", Message: r.name + " is being enabled"}
	}
	delete(c.account().enabled, r.name)
	return nil, nil
}

type regionStatus struct {
	RegionName, RegionOptStatus string
}

// getRegionOptStatus returns whether the caller's account can use a Region. Fact: NET-6.
func getRegionOptStatus(c *call) (any, error) {
	r, err := namedRegion(c)
	if err != nil {
		return nil, err
	}
	status := "DISABLED"
	switch _, asked := c.account().enabled[r.name]; {
	case !r.optIn:
		status = "ENABLED_BY_DEFAULT"
	case c.account().enabledIn(r, c.now):
		status = "ENABLED"
	case asked:
		status = "ENABLING"
	}
	return regionStatus{r.name, status}, nil
}

// namedRegion is the Region of a request for the caller's own account. Requests for other
// accounts, which need trusted access in the organization, are refused.
func namedRegion(c *call) (*region, error) {
	request, err := decodeJSON[regionRequest](c)
	if err != nil {
		return nil, err
	}
	if request.AccountID != "" {
		return nil, &Error{Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "the simulator changes Regions of the caller's account only"}
	}
	r := c.w.regions[request.RegionName]
	if r == nil {
		return nil, badRequest("ValidationException", "%q is not a Region", request.RegionName)
	}
	return r, nil
}
