//! Capture and tracking against a real server: whatever writers do, undo records must give back every state that ever was.

mod capture;
mod oracle;
