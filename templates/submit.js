// Sends the one form of the page; without JavaScript its button does. A field named "submit" would hide the method.
HTMLFormElement.prototype.submit.call(document.forms[0]);
