package awssim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// controlPrefix is the path of requests that aren't AWS requests. With them,
// tests and the demo inspect the world and act as AWS services.
const controlPrefix = "/_awssim/"

func (w *World) control(to http.ResponseWriter, r *http.Request) {
	answer, err := w.controlled(r)
	if err != nil {
		http.Error(to, err.Error(), http.StatusBadRequest)
		return
	}
	to.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(to).Encode(answer) // the client may have disconnected
}

func (w *World) controlled(r *http.Request) (any, error) {
	decode := func(into any) error {
		return json.NewDecoder(io.LimitReader(bodyOf(r), maxRequest)).Decode(into)
	}
	switch what := r.Method + " " + strings.TrimPrefix(r.URL.Path, controlPrefix); what {
	case "GET journal":
		return w.Journal(), nil
	case "GET state":
		return w.Snapshot(), nil
	case "POST fault":
		var fault Fault
		if err := decode(&fault); err != nil {
			return nil, err
		}
		w.Inject(fault)
		return struct{}{}, nil
	case "POST launch":
		var request launchRequest
		if err := decode(&request); err != nil {
			return nil, err
		}
		return w.launchAndRecord(request)
	default:
		return nil, fmt.Errorf("awssim has no %s", what)
	}
}

// launchRequest is a launch by a service-linked role.
type launchRequest struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	ImageID string `json:"image_id"`
	Role    string `json:"role"` // the role's name
	// KMSKeyID is the key that the launch names for its volumes, if any.
	KMSKeyID string `json:"kms_key_id,omitempty"`
}

// controlService is the service that the journal names for control calls.
const controlService = "awssim"

// JournalTo writes every new journal entry as a line of JSON.
func (w *World) JournalTo(to io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journal.encoder = json.NewEncoder(to)
}

// Resume replays a journal in a new world that was created from the same file
// as the journal's world. It repeats every call that changed something, at the
// time of the original call. IDs depend only on the order of calls, so they are
// the same.
func (w *World) Resume(journal io.Reader) error {
	decoder := json.NewDecoder(journal)
	for decoder.More() {
		var e Entry
		if err := decoder.Decode(&e); err != nil {
			return fmt.Errorf("reading the journal: %w", err)
		}
		if err := w.repeat(e); err != nil {
			return fmt.Errorf("repeating call %d (%s %s): %w", e.Sequence, e.Service, e.Operation, err)
		}
	}
	return nil
}

// repeat applies one call of a journal.
func (w *World) repeat(e Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journal.next = e.Sequence
	if !e.Mutating || e.Error != "" {
		return nil
	}
	w.journal.changes = append(w.journal.changes, e)
	if e.Service == controlService {
		var request launchRequest
		if err := json.Unmarshal([]byte(e.Body), &request); err != nil {
			return err
		}
		_, err := w.launchAsServiceLinkedRole(request, e.Time)
		return err
	}
	c := &call{w: w, now: e.Time, service: e.Service, region: e.Region, accessKey: e.AccessKey, body: []byte(e.Body)}
	if problem := c.readOperation("." + e.Operation); problem != nil {
		return problem
	}
	if problem := w.checkCaller(c); problem != nil {
		return problem
	}
	_, err := w.run(c)
	return err
}

// LaunchAsServiceLinkedRole launches an instance as a service-linked role of the
// account, for example EC2 Auto Scaling's. role is the role's name without its path.
// The role's policies don't mention KMS and can't be changed. The role can use an
// encrypted image only with a grant that its own account issued, or with a key of its
// own account. Fact: GRANT-9 to GRANT-16, IAM-ROLE-8.
func (w *World) LaunchAsServiceLinkedRole(account, roleName, region, imageID string) (LaunchResult, error) {
	return w.launchAndRecord(launchRequest{Account: account, Region: region, ImageID: imageID, Role: roleName})
}

// LaunchWithKey is like [World.LaunchAsServiceLinkedRole], but names a key, by ARN, for
// all volumes. Fact: LAUNCH-9, LAUNCH-13.
func (w *World) LaunchWithKey(account, roleName, region, imageID, keyARN string) (LaunchResult, error) {
	return w.launchAndRecord(launchRequest{Account: account, Region: region, ImageID: imageID, Role: roleName, KMSKeyID: keyARN})
}

func (w *World) launchAndRecord(request launchRequest) (LaunchResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	account, roleName, region := request.Account, request.Role, request.Region
	now := time.Now()
	result, err := w.launchAsServiceLinkedRole(request, now)
	body, _ := json.Marshal(request) // strings always encode
	entry := Entry{Time: now, Service: controlService, Operation: "Launch", Region: region, Account: account, Principal: roleName, Mutating: true, Body: string(body)}
	if err != nil {
		entry.Error = err.Error()
	}
	w.journal.add(entry)
	return result, err
}
